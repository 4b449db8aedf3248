"""What can be chosen by name: backbones, heads and formats of CAMs, each one a module in a folder of its own.

A module states its facts as a literal, `FACTS = {…}`, which is read from the file without importing it: the
configuration needs no torch. To add a choice is to add its file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wsss.study.words import did_you_mean

PACKAGE = Path(__file__).parents[1]
BACKBONES, HEADS, WEIGHTS_READERS = "models/backbones", "models/heads", "models/weights"
CAM_KINDS, CAM_FORMATS, AFFINITY_KINDS = "stages/cams", "stages/cams/formats", "stages/affinities"
DATASET_KINDS = "data"

TIMM, SMP = "timm/", "smp/"
"""Prefixes of the backbones of timm, and of the heads of segmentation_models_pytorch."""


@dataclass(frozen=True)
class Backbone:
    """Facts of a backbone; what only the built network can tell, as of timm's, is None.

    Attributes:
        module: dotted name of the module that builds it.
        output_strides: pixels per cell of the last features that can be had; None: the network's own.
        imagenet: whether `weights: imagenet` can be downloaded.
        channels: of each feature map, from fine to coarse; the last three are early, middle and last.
        strides: pixels per cell of each, at the network's own output stride.
        size_multiple: images are padded to a multiple of it, in pixels.
        normalization: name of the mean and standard deviation of its input.
        no_decay: names of parameters that never decay, besides norms and biases.
    """

    module: str
    output_strides: tuple[int | None, ...]
    imagenet: bool = False
    channels: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    size_multiple: int | None = 1
    normalization: str = "imagenet"
    no_decay: tuple[str, ...] | None = ()


@dataclass(frozen=True)
class Head:
    """Facts of a segmentation head: the module that builds it, and the one backbone that it fits, if so."""

    module: str
    backbone: str | None


@cache
def choices(folder: str) -> dict[str, Mapping[str, Any]]:
    """The modules of a folder below the package that state facts, by name, with these facts."""
    found = {path.stem: _facts(path) for path in sorted((PACKAGE / folder).glob("*.py"))}
    return {name: facts for name, facts in found.items() if facts is not None}


def _facts(path: Path) -> Mapping[str, Any] | None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FACTS":
            return dict(ast.literal_eval(node.value))
    return None


def module_name(folder: str, name: str) -> str:
    """Dotted name of a choice's module."""
    return f"{PACKAGE.name}.{folder.replace('/', '.')}.{name}"


def backbone_names() -> list[str]:
    """Names of all backbones but timm's."""
    return [name for name in choices(BACKBONES) if name != "timm"]


def backbone_facts(name: str) -> Backbone:
    """Facts of a backbone by its name in the configuration.

    Raises:
        ValueError: there is no such backbone.
    """
    file = name
    if name.startswith(TIMM):
        _require_timm(name.removeprefix(TIMM))
        file = "timm"
    elif name not in (known := backbone_names()):
        hint = did_you_mean(name, known) or f", allowed {', '.join(known)} or timm/<name>"
        raise ValueError(f"there is no such backbone{hint}")
    return Backbone(module=module_name(BACKBONES, file), **choices(BACKBONES)[file])


def head_facts(name: str) -> Head:
    """Facts of a segmentation head by its name in the configuration.

    Raises:
        ValueError: there is no such head.
    """
    smp = [f"{SMP}{decoder}" for decoder in choices(HEADS)["smp"]["decoders"]]
    known = {key: facts for key, facts in choices(HEADS).items() if key != "smp"}
    if name in smp:
        return Head(module_name(HEADS, "smp"), None)
    if name not in known:
        hint = did_you_mean(name, [*known, *smp]) or f", allowed {', '.join([*known, *smp])}"
        raise ValueError(f"there is no such head{hint}")
    return Head(module_name(HEADS, name), known[name]["backbone"])


def cam_formats() -> list[str]:
    """Names of the formats in which CAMs of other systems are read."""
    return list(choices(CAM_FORMATS))


def weights_reader(weights: str) -> str | None:
    """Dotted name of the module that reads the file of `weights`: a path, or `classifier`.

    None for `none`, and for `imagenet`, which the backbone's own module downloads. A file whose suffix no
    reader claims is read as PyTorch's.
    """
    if weights in ("none", "imagenet"):
        return None
    known = choices(WEIGHTS_READERS)
    readers = {suffix: name for name, facts in known.items() for suffix in facts["suffixes"]}
    return module_name(WEIGHTS_READERS, readers.get(Path(weights).suffix, "pytorch"))


def _require_timm(name: str) -> None:
    """Refuse a name, perhaps with the tag of its weights behind a dot, that timm does not have.

    timm itself takes as long to import as torch, so its sources are searched instead.
    """
    architecture, _, tag = name.partition(".")
    known, sources = _timm_models()
    if architecture not in known:
        hint = did_you_mean(architecture, known)
        raise ValueError(f"timm has no model `{architecture}`{hint}")
    if tag and not re.search(rf"['\"]{re.escape(name)}['\"]", sources):
        tags = sorted(set(re.findall(rf"['\"]{re.escape(architecture)}\.([\w.]+)['\"]", sources)))
        raise ValueError(f"timm has no weights `{tag}` of `{architecture}`, allowed {' or '.join(tags)}")


@cache
def _timm_models() -> tuple[tuple[str, ...], str]:
    """Names of timm's models, and the text of the modules that define them."""
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        raise ValueError("timm is not installed: pip install timm")
    files = sorted((Path(spec.origin).parent / "models").glob("*.py"))
    sources = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return tuple(re.findall(r"@register_model\s+def (\w+)\(", sources)), sources
