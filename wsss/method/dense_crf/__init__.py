"""Fully connected CRF that sharpens scores at the edges of the image (Krähenbühl & Koltun 2011).

Each pixel is tied to every other one, more strongly the closer they are and the more alike their colours. In
each iteration mean field inference sums what all pixels tell each pixel, which is a Gaussian filter of the
posterior over positions and colours; on a permutohedral lattice (Adams et al. 2010) it takes time linear in
the number of pixels. docs/dense_crf.md compares speed and results with the usual C++ implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.method.dense_crf.lattice import Embedding, Lattice, embed

__all__ = ["DenseCRF", "dense_crf"]

LEAST_SCORE = 1e-5
"""Lower scores count as this one, so that no label is impossible anywhere."""

SIZES_KEPT = 4
"""Image sizes whose Gaussian kernel is kept, 30 bytes a pixel: images of a data set share few sizes."""

Image = Tensor | NDArray[np.uint8]
Kernel = Callable[[Tensor], Tensor]
"""Filter of (C, H·W) values."""


def dense_crf(
    image: Image,
    scores: Tensor,
    *,
    iterations: int = 10,
    gaussian: tuple[float, float] = (3, 3),
    bilateral: tuple[float, float, float] = (80, 13, 10),
) -> Tensor:
    """Refine scores by the image: the posterior of the CRF after some mean field iterations.

    Computed on the device of `scores`. Several stacks of scores of one image cost less with a `DenseCRF`; see
    there for arguments, result and errors.

    Examples:
        Scores that miss an edge of the image by three columns:

        >>> import torch, wsss
        >>> image = torch.zeros(20, 20, 3, dtype=torch.uint8)
        >>> image[:, 10:] = 200
        >>> right = torch.full((20, 20), 0.2)
        >>> right[:, 13:] = 0.8
        >>> refined = wsss.dense_crf(image, torch.stack([1 - right, right]), bilateral=(10, 10, 5))
        >>> int(refined.argmax(0)[10].sum())  # columns of the right half
        10
    """
    return DenseCRF(
        _tensor(image).to(scores.device), iterations=iterations, gaussian=gaussian, bilateral=bilateral
    )(scores)


class DenseCRF:
    """The CRF of one image, a function from scores to refined scores (`refine` of `confident_labels`).

    What depends on the image only is computed once. The unary energy is -log of the scores, the compatibility
    is Potts', and each kernel K is normalised symmetrically, D^-½ K D^-½ with D its row sums. On a CPU the
    filters run on one thread without the interpreter lock: spread images over threads.
    """

    @torch.no_grad()
    def __init__(
        self,
        image: Image,
        *,
        iterations: int = 10,
        gaussian: tuple[float, float] = (3, 3),
        bilateral: tuple[float, float, float] = (80, 13, 10),
    ) -> None:
        """Prepare the kernels of an image.

        Args:
            image: (H, W, 3) uint8, an array or a tensor, whose device is the one of the CRF.
            iterations: of mean field, from 0 up.
            gaussian: standard deviation of the position in pixels, and weight, of the kernel that smoothes.
            bilateral: standard deviations of the position in pixels and of the colour in grey levels, and
                weight, of the kernel that follows the image. A weight of 0 leaves a kernel out.

        Raises:
            ValueError: not such an image, or an impossible parameter.

        """
        image = _tensor(image)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != torch.uint8 or not image.numel():
            raise ValueError(
                f"dense_crf: image: expected (H, W, 3) uint8, got {tuple(image.shape)} {image.dtype}"
            )
        if not isinstance(iterations, int) or iterations < 0:
            raise ValueError(f"dense_crf: iterations: expected a whole number from 0 up, got {iterations!r}")
        _check_kernel("gaussian", gaussian, 2)
        _check_kernel("bilateral", bilateral, 3)
        self.iterations = iterations
        self.size = height, width = int(image.shape[0]), int(image.shape[1])
        self.device = image.device
        self._kernels: list[Kernel] = []
        if gaussian[1]:
            self._kernels.append(gaussian_kernel(height, width, self.device, *gaussian))
        if bilateral[2]:
            self._kernels.append(_bilateral_kernel(image, *bilateral))

    @torch.no_grad()
    def __call__(self, scores: Tensor) -> Tensor:
        """Run mean field (Krähenbühl & Koltun 2011, algorithm 1).

        Args:
            scores: (C, H, W), one map per label, of any float type; taken for probabilities, though they need
                not sum to one, and clipped to [1e-5, 1].

        Returns:
            (C, H, W) float32, the posterior: at each pixel the labels sum to one.

        Raises:
            ValueError: scores that do not fit the image or are not finite.

        """
        self._check(scores)
        likelihood = scores.float().flatten(1).contiguous().clamp(LEAST_SCORE, 1).log()
        posterior = likelihood.softmax(0)
        for _ in range(self.iterations):
            energy = likelihood.clone()
            for kernel in self._kernels:
                energy += kernel(posterior)
            posterior = energy.softmax(0)
        return posterior.view(scores.shape)

    def _check(self, scores: Tensor) -> None:
        got = f"got {tuple(scores.shape)} {scores.dtype} on {scores.device}"
        if scores.ndim != 3 or not len(scores) or scores.shape[1:] != self.size:
            raise ValueError(
                f"dense_crf: scores: expected (C, {', '.join(map(str, self.size))}) as the image, {got}"
            )
        if not scores.is_floating_point():
            raise ValueError(f"dense_crf: scores: expected floats, {got}")
        if scores.device != self.device:
            raise ValueError(f"dense_crf: scores: expected them on {self.device} as the image, {got}")
        if not scores.isfinite().all():
            raise ValueError(f"dense_crf: scores: not all of them are finite, {got}")


def _tensor(image: Image) -> Tensor:
    """Copy an array, which may be read-only."""
    return image if isinstance(image, Tensor) else torch.tensor(image)


def _check_kernel(name: str, kernel: tuple[float, ...], length: int) -> None:
    *deviations, weight = kernel
    within = [0 < deviation < float("inf") for deviation in deviations]
    if len(kernel) != length or not all(within) or not 0 <= weight < float("inf"):
        raise ValueError(
            f"dense_crf: {name}: expected {length - 1} standard deviations above 0 and a weight from 0 up, "
            f"got {kernel}"
        )


@lru_cache(SIZES_KEPT)
def gaussian_kernel(height: int, width: int, device: torch.device, deviation: float, weight: float) -> Kernel:
    """Make the kernel that smoothes images of a size; those of the last sizes are kept."""
    return _kernel(_positions(height, width, device) / deviation, weight)


def _bilateral_kernel(image: Tensor, deviation: float, colour_deviation: float, weight: float) -> Kernel:
    positions = _positions(image.shape[0], image.shape[1], image.device) / deviation
    colours = image.flatten(0, 1).double() / colour_deviation
    return _kernel(torch.cat([positions, colours], 1), weight)


def _positions(height: int, width: int, device: torch.device) -> Tensor:
    """List (x, y) of each pixel, (H·W, 2)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1).to(device, torch.float64)


def _kernel(features: Tensor, weight: float) -> Kernel:
    """Filter by a Gaussian over the features (N, d), normalised symmetrically, times the weight."""
    lattice = _lattice(embed(features))
    degrees = lattice(torch.ones_like(features[:, 0], dtype=torch.float32)[None])[0]
    return lattice.scaled((weight / degrees).sqrt())


def _lattice(embedding: Embedding) -> Lattice:
    """Choose the engine for a device; its module, with its compiler, is imported only where used."""
    on_cpu = embedding.keys.device.type == "cpu"
    module, name = ("numba_engine", "NumbaLattice") if on_cpu else ("torch_engine", "TorchLattice")
    engine: Callable[[Embedding], Lattice] = getattr(import_module(f"{__name__}.{module}"), name)
    return engine(embedding)
