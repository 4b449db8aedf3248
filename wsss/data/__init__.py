"""Data sets: images with image-level labels, and masks that only the scoring reads."""

from wsss.data.images import read_image, read_mask, write_mask
from wsss.data.manifest import ImageRow, Manifest
from wsss.data.problems import DatasetError
from wsss.stages.dataset import prepare

__all__ = ["DatasetError", "ImageRow", "Manifest", "prepare", "read_image", "read_mask", "write_mask"]
