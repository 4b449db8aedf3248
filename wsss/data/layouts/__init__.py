"""Image-level labels in the layouts that people and annotation tools make, told apart and read.

`detect(folder)` says which layout a folder has; `read(layout)` gives images, labels, class names and
problems; `near_misses(folder)` says why a folder has none.
"""

from wsss.data.labels.named import Labels
from wsss.data.layouts.detection import Layout, detect, near_misses, read

__all__ = ["Labels", "Layout", "detect", "near_misses", "read"]
