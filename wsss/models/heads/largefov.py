"""The head of DeepLab-LargeFOV (Chen et al., 2015)."""

from __future__ import annotations

from torch import nn

FACTS = {"backbone": "vgg16"}


def largefov_head(inputs: int, n_classes: int) -> nn.Sequential:
    """The last layer of DeepLab-LargeFOV (Chen et al., 2015); the large field of view is VGG16's ``fc6``."""
    return nn.Sequential(nn.Dropout(0.5), nn.Conv2d(inputs, n_classes, 1))
