"""From an image's CAMs to its mask in one call, with a trained AffinityNet or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import image_pixels
from wsss.method.cam import with_background
from wsss.method.labels import BACKGROUND, IGNORE
from wsss.method.resizing import bilinear
from wsss.models.affinitynet import AffinityNet, restore_affinitynet
from wsss.runtime.compute import Compute
from wsss.stages.affinities.network import image_affinities
from wsss.stages.bundle.images import ImageLike, Pixels
from wsss.stages.bundle.model import AffinityModel, device_named
from wsss.stages.inference.refinement import Refine, pixel_refinement
from wsss.stages.random_walk import background_of, propagate_image
from wsss.study.config import DenseCrf, PowerBackground, RandomWalk
from wsss.study.config.fields import settled

CRF_DISTANCE = 0.08
"""Reach of the dense CRF's colour kernel, as a share of the longest side: 20 of 250 pixels."""

CRF_GREY_LEVELS, CRF_WEIGHT = 10.0, 3.0


def refine(
    image: ImageLike,
    cams: NDArray[np.floating] | Tensor,
    labels: Sequence[int] | NDArray[np.integer] | Tensor,
    affinitynet: str | Path | AffinityModel | None = None,
    *,
    alpha: float | None = None,
    beta: float | None = None,
    t: int | None = None,
    device: str | torch.device = "auto",
) -> Pixels:
    """Turn the class activation maps (CAMs) of an image into a mask.

    With an AffinityNet this is the method of Ahn & Kwak (2018), sections 3.2 and 3.3: affinities of
    neighbouring cells, a random walk of the CAMs over them, and a dense CRF. Without one there are no
    affinities to walk over: the CAMs and their background go to the dense CRF directly, which moves borders
    to edges of the image but does not complete objects of which the CAMs show a part.

    Args:
        image: a path, a Pillow image or an array (H, W, 3) uint8 in RGB.
        cams: (K, h, w) in [0, 1], one for each label; resized to the image if they are smaller or larger.
        labels: the K mask values, 1 … 254, in the order of the maps. `class_values` turns 0-based class
            indices into them.
        affinitynet: the folder of its bundle, what `load_model` made of that, or a checkpoint,
            `affinitynet/checkpoint.pt`, which is walked over as the default study does.
        alpha: exponent of the background, (1 - largest CAM)^alpha; larger: less background. By default that
            of the AffinityNet's study, or 3.
        beta: exponent of the affinities; larger: fainter borders stop the walk.
        t: number of steps of the walk.
        device: on which to compute, see `load_model`.

    Returns:
        (H, W) uint8: 0 background, and the labels.

    Raises:
        ValueError: shapes, values or labels that do not fit, or a damaged bundle.
        FileNotFoundError: there is no such image.

    Examples:
        A circle that a CAM has half found:

        >>> import numpy as np, wsss
        >>> y, x = np.mgrid[:64, :64]
        >>> circle = (y - 32) ** 2 + (x - 32) ** 2 < 400
        >>> image = np.where(circle[..., None], (200, 60, 40), (60, 90, 60)).astype(np.uint8)
        >>> cam = np.where(circle, 0.9, 0.05) * (x < 40)
        >>> mask = wsss.refine(image, cam[None], [3])
        >>> mask.shape, mask.dtype, np.unique(mask).tolist()
        ((64, 64), dtype('uint8'), [0, 3])
    """
    pixels = image_pixels(image)
    model = None if affinitynet is None else _walker(affinitynet, device)
    place = model.compute.device if model else torch.device("cpu")
    values = _checked_labels(labels)
    maps = bilinear(_checked_cams(cams, len(values)).to(place), pixels.shape[:2])
    walk = _walk(model.walk if model else RandomWalk(), alpha, beta, t)
    crf = pixel_refinement(pixels, (model and model.dense_crf) or dense_crf_for(pixels), place)
    if model is None:
        return _without_walk(maps, values, walk, crf)
    stencil = image_affinities(
        model.network, pixels, input_scale=model.input_scale, flip=model.flip, compute=model.compute
    )
    return propagate_image(
        stencil.to(place), maps, values, input_scale=model.input_scale, walk=walk, refine=crf
    )


def dense_crf_for(image: Pixels) -> DenseCrf:
    """The dense CRF of an image (H, W, 3) of which nothing else is known: its reach follows the size."""
    return DenseCrf(bilateral=(CRF_DISTANCE * max(image.shape[:2]), CRF_GREY_LEVELS, CRF_WEIGHT))


def _without_walk(cams: Tensor, values: NDArray[np.int64], walk: RandomWalk, crf: Refine) -> Pixels:
    scores = with_background(cams, background_of(cams, walk.background))
    winner = crf(scores).argmax(0).cpu().numpy()
    mask: Pixels = np.array([BACKGROUND, *values], np.uint8)[winner]
    return mask


@dataclass(frozen=True)
class _Walker:
    """An AffinityNet on its device, and how its affinities are walked over."""

    network: AffinityNet
    compute: Compute
    input_scale: float
    flip: bool
    walk: RandomWalk
    dense_crf: DenseCrf | None


def _walker(affinitynet: str | Path | AffinityModel, device: str | torch.device) -> _Walker:
    if isinstance(affinitynet, (str, Path)) and Path(affinitynet).is_file():
        trained = restore_affinitynet(affinitynet)
        compute = Compute(device_named(device))
        network, section = compute.place(trained.network), trained.section
        return _Walker(network, compute, settled(section.input_scale), False, RandomWalk(), None)
    found = AffinityModel.load(affinitynet, device) if isinstance(affinitynet, (str, Path)) else affinitynet
    bundle = found.bundle
    return _Walker(
        found.network,
        found.compute,
        settled(bundle.section.input_scale),
        bundle.affinities.flip,
        bundle.random_walk,
        bundle.dense_crf,
    )


def _walk(walk: RandomWalk, alpha: float | None, beta: float | None, t: int | None) -> RandomWalk:
    changes = {
        "background": None if alpha is None else PowerBackground(alpha=alpha),
        "beta": beta,
        "t": t,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    return RandomWalk.model_validate(dict(walk) | given)


def _checked_labels(labels: Sequence[int] | NDArray[np.integer] | Tensor) -> NDArray[np.int64]:
    values = np.asarray(labels)
    if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
        raise ValueError(f"labels: expected K whole numbers, got {values.dtype} {values.shape}")
    if wrong := [value for value in values.tolist() if not BACKGROUND < value < IGNORE]:
        raise ValueError(
            f"labels: expected mask values 1 … {IGNORE - 1}, got {wrong}; `wsss.class_values` turns class "
            "indices into mask values"
        )
    if len(set(values.tolist())) < len(values):
        raise ValueError(f"labels: expected each once, got {values.tolist()}")
    return values.astype(np.int64)


def _checked_cams(cams: NDArray[np.floating] | Tensor, count: int) -> Tensor:
    maps = torch.as_tensor(cams)
    if maps.ndim != 3 or len(maps) != count or not maps.is_floating_point():
        raise ValueError(
            f"cams: expected floats ({count}, h, w), one map per label, got {maps.dtype} {tuple(maps.shape)}"
        )
    if maps.numel() and not (maps.min() >= 0 and maps.max() <= 1):
        raise ValueError(f"cams: expected values in [0, 1], got {maps.min():g} to {maps.max():g}")
    return maps.float()
