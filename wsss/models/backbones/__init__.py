"""Backbones, one module each: FACTS for `wsss.study.registry`, and `build(output_stride)`."""

from __future__ import annotations

from importlib import import_module

from wsss.models.backbone import Backbone
from wsss.study.registry import backbone_facts


def build_backbone(name: str, output_stride: int) -> Backbone:
    """Build a backbone with fresh weights.

    Args:
        name: see `wsss.study.registry.backbone_facts`.
        output_stride: stride of the last level in pixels: 8, 16 or 32. What the stages lose in stride they
            gain in dilation.

    Raises:
        ValueError: if the name or the stride is not among these.
    """
    backbone: Backbone = import_module(backbone_facts(name).module).build(output_stride)
    return backbone
