"""Any network of timm as a backbone: convolutional ones, and transformers, which read images of any size.

The parameters have timm's own names, so that its files of weights load.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad

from wsss.models.backbone import Backbone, FeatureMap, Part
from wsss.models.normalization import Normalization
from wsss.models.state import hide_prefix
from wsss.models.weights.reading import read_state

FACTS = {
    "output_strides": (None, 8, 16, 32),
    "imagenet": True,
    "channels": None,
    "strides": None,
    "size_multiple": None,
    "normalization": "its own",
    "no_decay": None,
}

PREFIX = "timm/"
#: How transformers are told, by their various names for it, to read images of any size.
ANY_SIZE: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})
#: Of a network whose blocks all have one stride, the outputs of so many are its feature maps.
TAPS = 4
#: The file of most of timm's repositories.
FILE = "model.safetensors"
#: What timm raises for an option that an architecture does not have or cannot combine.
REFUSALS = (TypeError, NotImplementedError, AssertionError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Plan:
    """How a network of timm becomes a backbone, as found by running it once on tensors without data.

    Attributes:
        options: arguments that build it.
        maps: its feature maps.
        taps: the blocks or stages, by their number, that give these maps.
        ends: whether the last map is the network's final one, which for some has a convolution more.
        size_multiple: images are padded to a multiple of it, in pixels.
        unused: parts of the network that the maps do not need.
    """

    options: Mapping[str, Any]
    maps: tuple[FeatureMap, ...]
    taps: tuple[int, ...]
    ends: bool
    size_multiple: int
    unused: tuple[str, ...]


class TimmBackbone(Backbone):
    """A network of timm without its classifier.

    Its maps are those that timm lists as its features. A transformer whose blocks all have one stride gives
    the outputs of four blocks, evenly spaced, after the final norm. Where the network needs whole patches,
    images are padded at the right and the bottom, and maps cut back to the cells that hold some of the image.
    """

    def __init__(self, name: str, output_stride: int | None) -> None:
        self.plan = plan = make_plan(name, output_stride)
        super().__init__(plan.maps)
        self.model: Any = create(name, plan.options)
        for part in plan.unused:
            self.model.set_submodule(part, nn.Identity())
        config: Mapping[str, Any] = self.model.pretrained_cfg
        self.normalization = Normalization(tuple(config["mean"]), tuple(config["std"]))
        heads = config.get("classifier") or ()
        heads = (heads,) if isinstance(heads, str) else heads
        self.left_out = tuple(f"{part}." for part in (*heads, *plan.unused))
        hide_prefix(self, "model")

    @property
    def stages(self) -> list[list[Part]]:
        """What precedes the first block, then the blocks up to each feature map; the last has the rest."""
        modules = [entry["module"] for entry in feature_info(self.model)]
        return stages(self.model, [modules[tap] for tap in self.plan.taps])

    def pyramid(self, x: Tensor) -> Iterator[Tensor]:
        """``(B, 3, H, W)`` → maps as ``maps`` describes them."""
        size = x.shape[-2:]
        x = pad(x, [amount for side in (size[1], size[0]) for amount in (0, -side % self.plan.size_multiple)])
        for found, known in zip(
            maps_of(self.model, x, self.plan.taps, self.plan.ends), self.maps, strict=True
        ):
            height, width = (math.ceil(side / known.stride) for side in size)
            yield found[..., :height, :width]

    def top(self, last: Tensor) -> Tensor:
        """Apply to each cell the layer norm that timm applies to their average, if it has one."""
        return normed_top(self.model, last)

    def adapted(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Let timm rename entries of the authors' files, and resize position embeddings of another grid."""
        filtered = getattr(sys.modules[type(self.model).__module__], "checkpoint_filter_fn", None)
        try:
            return state if filtered is None else dict(filtered(dict(state), self.model))
        except (*REFUSALS, AttributeError, LookupError):
            return state  # a file of something else, about which the comparison of names says more

    def no_weight_decay(self) -> frozenset[str]:
        """What timm says: tokens, position embeddings, tables of relative positions."""
        names = self.model.no_weight_decay() if hasattr(self.model, "no_weight_decay") else ()
        return frozenset(f"model.{name}" for name in names)


def create(name: str, options: Mapping[str, Any]) -> Any:
    """timm's network of that name, with fresh weights and without its classifier."""
    return timm.create_model(name.removeprefix(PREFIX), pretrained=False, num_classes=0, **options)


def feature_info(model: Any) -> Sequence[Mapping[str, Any]]:
    """What timm says of each feature map: channels, stride, and the module that gives it."""
    info = model.feature_info
    return list(getattr(info, "info", info))


def maps_of(model: Any, x: Tensor, taps: Sequence[int] | None, ends: bool) -> list[Tensor]:
    """Feature maps ``(B, C, h, w)`` of a batch; the last is the network's final one if it ``ends``."""
    options = {"indices": taps, "norm": True, "output_fmt": "NCHW", "intermediates_only": not ends}
    found = model.forward_intermediates(x, **options)
    return [*found[1][:-1], found[0]] if ends else list(found)


def normed_top(model: Any, last: Tensor) -> Tensor:
    """The layer norm of timm's head, which comes after its average, over the channels of each cell."""
    for norm in (getattr(getattr(model, "head", None), "norm", None), getattr(model, "fc_norm", None)):
        if isinstance(norm, nn.LayerNorm):
            cells = last.permute(0, 2, 3, 1)
            normed = layer_norm(cells, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
            return normed.permute(0, 3, 1, 2)
    return last


def stages(model: Any, taps: Sequence[str]) -> list[list[Part]]:
    """Sort all parts of a network into a stem, and a stage that ends with each of the modules ``taps``."""

    def parts(module: nn.Module, prefix: str) -> Iterator[tuple[str, Part]]:
        yield from ((prefix + name, value) for name, value in module.named_parameters(recurse=False))
        for name, child in module.named_children():
            if any(tap.startswith(f"{prefix}{name}.") for tap in taps):
                yield from parts(child, f"{prefix}{name}.")
            else:
                yield prefix + name, child

    entries = list(parts(model, ""))
    left = {path for path, _ in entries} & set(taps)
    found: list[list[Part]] = [[]]
    ended = False
    for path, part in entries:
        stem_ended = len(found) == 1 and "." in path
        if found[-1] and left and (ended or stem_ended):
            found.append([])
        found[-1].append(part)
        ended = path in left
        left.discard(path)
    return found


@cache
def make_plan(name: str, output_stride: int | None) -> Plan:
    """Find out what a network of timm offers, by building it without data.

    Raises:
        ValueError: it has no feature maps, not this stride, or reads images of one size only.
    """
    dilated: list[dict[str, Any]] = [{"output_stride": output_stride}] if output_stride in (8, 16) else []
    plans = []
    with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.enable_grad():
        for stride in (*dilated, {}):
            if built := _built(name, stride):
                plans.append(_plan_of(name, *built))
            if plans and output_stride in (None, plans[-1].maps[-1].stride):
                return plans[-1]
    if not plans:
        raise ValueError(f"{name}: timm cannot build this network")
    own = plans[-1].maps[-1].stride
    raise ValueError(f"output_stride: got {output_stride}, allowed null or {own} for {name}")


def _built(name: str, stride: Mapping[str, Any]) -> tuple[Any, dict[str, Any]] | None:
    """A network without data, and the arguments that built it; None if it does not know ``stride``."""
    for size in ANY_SIZE:
        options = {**stride, **size}
        try:
            with torch.device("meta"):
                return create(name, options).eval(), options
        except REFUSALS:
            continue
    return None


def _plan_of(name: str, model: Any, options: Mapping[str, Any]) -> Plan:
    if not hasattr(model, "forward_intermediates"):
        raise ValueError(f"{name}: timm gives no feature maps of this network")
    coarsest = feature_info(model)[-1]["reduction"]
    sizes = (4 * coarsest, 6 * coarsest)
    try:
        found = _run(model, sizes, None, ends=False)
    except REFUSALS as error:
        raise ValueError(
            f"{name} reads images of one size only, backbones must read any ({error})"
        ) from error
    strides = [sizes[0] // max(1, features.shape[-2]) for features in found]
    taps = tuple(range(len(found)))
    if len(set(strides)) == 1 and len(found) > TAPS:
        taps = tuple(len(found) * (tap + 1) // TAPS - 1 for tap in range(TAPS))
    ends = _ends_in_map(model, sizes, found[-1])
    found = _run(model, sizes, taps, ends)
    maps = tuple(FeatureMap(found[i].shape[1], strides[tap]) for i, tap in enumerate(taps))
    multiple = _size_multiple(name, model, maps, taps, ends)
    return Plan(options, maps, taps, ends, multiple, _unused(model, sizes, taps, ends))


def _run(model: Any, size: Iterable[int], taps: Sequence[int] | None, ends: bool) -> list[Tensor]:
    return maps_of(model, torch.empty(1, 3, *size, device="meta"), taps, ends)


def _ends_in_map(model: Any, size: Iterable[int], last: Tensor) -> bool:
    """Whether the network's final output is a map like its last features, and no list of tokens."""
    final, _ = model.forward_intermediates(torch.empty(1, 3, *size, device="meta"), output_fmt="NCHW")
    return bool(final.ndim == last.ndim and final.shape[-2:] == last.shape[-2:])


def _size_multiple(name: str, model: Any, maps: Sequence[FeatureMap], taps: Sequence[int], ends: bool) -> int:
    """1 if the network itself rounds every map up, else what images must be padded to."""
    coarsest = max(known.stride for known in maps)
    for multiple, size in (
        (1, (4 * coarsest + 1, 6 * coarsest + 1)),
        (coarsest, (5 * coarsest, 7 * coarsest)),
    ):
        try:
            found = _run(model, size, taps, ends)
        except REFUSALS:
            continue
        expected = [tuple(math.ceil(side / known.stride) for side in size) for known in maps]
        if [tuple(features.shape[-2:]) for features in found] == expected:
            return multiple
    raise ValueError(f"{name} reads images of some sizes only, backbones must read any")


def _unused(model: Any, size: Iterable[int], taps: Sequence[int], ends: bool) -> tuple[str, ...]:
    """The parts that no gradient reaches, as the layers of a head that no number of classes removes."""
    found = _run(model, size, taps, ends)
    torch.stack([features.sum() for features in (*found, normed_top(model, found[-1]))]).sum().backward()
    return tuple(
        name
        for name, child in model.named_children()
        if list(child.parameters()) and all(parameter.grad is None for parameter in child.parameters())
    )


def build(name: str, output_stride: int | None) -> Backbone:
    """Build it with fresh weights; ``name`` is ``timm/`` and timm's name, perhaps with the tag of weights."""
    return TimmBackbone(name, output_stride)


def imagenet(name: str) -> dict[str, Tensor]:
    """Fetch the pretrained weights of that name, with its tag or of timm's choice, from Hugging Face.

    A file in the cache is taken without asking for a newer one.

    Raises:
        ValueError: there are none, or they cannot be had; the message says which file to put where.
    """
    config = timm.get_pretrained_cfg(name.removeprefix(PREFIX))
    if config is None or not config.hf_hub_id:
        raise ValueError(f"weights: imagenet: timm has no file of weights of {name}; give a path or 'none'")
    repository, file = config.hf_hub_id, config.hf_hub_filename or FILE
    cached = try_to_load_from_cache(repository, file, cache_dir=constants.HF_HUB_CACHE)
    try:
        path = cached if isinstance(cached, str) else hf_hub_download(repository, file)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        folder = "models--" + repository.replace("/", "--")
        raise ValueError(
            f"weights: imagenet: cannot get {file} of https://huggingface.co/{repository} ({reason}). "
            f"Without a connection: download it elsewhere and name it in the study, as in "
            f"`classifier: {{weights: {file}}}`, or copy the folder {folder} of another machine's cache into "
            f"{constants.HF_HUB_CACHE}."
        ) from error
    return read_state(Path(path))
