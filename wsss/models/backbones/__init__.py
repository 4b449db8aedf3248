"""Backbones, one module each: `FACTS` for `wsss.study.registry`, and `build(name, output_stride)`.

A module whose facts say ``imagenet: True`` also has `imagenet(name)`, which gives the state dict of the
downloaded weights. docs/backbones.md shows how to add one.
"""

from __future__ import annotations

from importlib import import_module

from wsss.models.backbone import Backbone
from wsss.models.folded import fold_batch_norms
from wsss.study.registry import backbone_facts


def build_backbone(name: str, output_stride: int | None) -> Backbone:
    """Build a backbone with fresh weights.

    Args:
        name: see `wsss.study.registry.backbone_facts`.
        output_stride: stride of the last features in pixels: 8, 16 or 32; None: the network's own. What the
            stages lose in stride they gain in dilation.

    Raises:
        ValueError: there is no such backbone, or it cannot have this stride.
    """
    facts = backbone_facts(name)
    if output_stride not in facts.output_strides:
        allowed = ", ".join("null" if stride is None else str(stride) for stride in facts.output_strides)
        raise ValueError(f"output_stride: got {output_stride}, allowed {allowed} for {name}")
    backbone: Backbone = import_module(facts.module).build(name, output_stride)
    fold_batch_norms(backbone)
    return backbone
