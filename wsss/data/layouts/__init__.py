"""Image-level labels in the layouts that people and annotation tools make, told apart and read.

`detect(folder)` says which layout a folder has; `read(layout)` gives images, labels, class names and
problems.
"""

from wsss.data.labels.named import Labels
from wsss.data.layouts.detection import Layout, detect, read

__all__ = ["Labels", "Layout", "detect", "read"]
