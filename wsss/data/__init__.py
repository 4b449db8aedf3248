"""Data sets: images with image-level labels, and masks that only the scoring reads."""

from wsss.data.images import image_pixels, read_image, read_mask, write_mask
from wsss.data.manifest import ImageRow, Manifest
from wsss.data.problems import DatasetError

__all__ = ["DatasetError", "ImageRow", "Manifest", "image_pixels", "read_image", "read_mask", "write_mask"]
