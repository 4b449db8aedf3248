"""Image-level labels in the layouts that people and annotation tools make, told apart and read.

`detect(folder)` says which layout a folder has; `read(layout)` gives images, labels, class names and
problems.
"""

from wsss.data.layouts.detection import Layout, detect, read
from wsss.data.layouts.labels import Labels

__all__ = ["Labels", "Layout", "detect", "read"]
