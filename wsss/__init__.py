"""Semantic segmentation with weak supervision: from image-level labels to masks and a network."""

__version__ = "0.1.0"
