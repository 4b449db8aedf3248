"""Data sets: images with image-level labels, and masks that only the scoring reads."""

from wsss.datasets.images import read_image, read_mask, write_mask
from wsss.datasets.manifest import ImageRow, Manifest
from wsss.datasets.preparation import prepare
from wsss.datasets.problems import DatasetError

__all__ = ["DatasetError", "ImageRow", "Manifest", "prepare", "read_image", "read_mask", "write_mask"]
