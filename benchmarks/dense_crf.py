"""The dense CRF of `wsss.method.dense_crf` against the usual C++ one (pydensecrf2), on one thread.

    OMP_NUM_THREADS=1 python -m benchmarks.dense_crf [--height 375 --width 500 --labels 3 --image photo.jpg]

Seconds are those of the processor, the least and the median of several runs, so that a loaded machine tells
about the same. "cold" builds everything, "warm" finds the Gaussian kernel of the image's size prepared,
"again" calls the `DenseCRF` of an image once more. Without --image the image is blobs with grain.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import read_image
from wsss.method.dense_crf import DenseCRF, dense_crf, gaussian_kernel


def blobs(height: int, width: int, grain: float = 6) -> NDArray[np.uint8]:
    """Draw soft blobs of colour with the grain of a photograph."""
    generator = torch.Generator().manual_seed(0)
    coarse = 255 * torch.rand(1, 3, 7, 9, generator=generator)
    image = F.interpolate(coarse, (height, width), mode="bicubic")[0].movedim(0, -1)
    image += grain * torch.randn(image.shape, generator=generator)
    return image.clamp(0, 255).byte().numpy()


def soft_scores(labels: int, height: int, width: int) -> Tensor:
    """Draw scores as coarse as those of a CAM."""
    coarse = torch.rand(1, labels, 12, 16, generator=torch.Generator().manual_seed(1))
    return F.interpolate(coarse, (height, width), mode="bilinear")[0]


def cpp(image: NDArray[np.uint8], scores: Tensor) -> Tensor:
    """Do the same with pydensecrf2."""
    from pydensecrf.densecrf import DenseCRF2D

    labels, height, width = scores.shape
    crf = DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(-scores.clamp(1e-5, 1).log().flatten(1).numpy())
    crf.addPairwiseGaussian(sxy=3, compat=3)
    crf.addPairwiseBilateral(sxy=80, srgb=13, rgbim=image, compat=10)
    return torch.from_numpy(np.array(crf.inference(10))).view(scores.shape)


def cold(image: NDArray[np.uint8], scores: Tensor) -> Tensor:
    """Build both kernels."""
    gaussian_kernel.cache_clear()
    return dense_crf(image, scores)


def seconds(call: Callable[[], Tensor], repeats: int) -> tuple[float, float]:
    """Return the least and the median processor time of a call."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        taken.append(time.process_time() - start)
    return min(taken), statistics.median(taken)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--height", type=int, default=375)
    parser.add_argument("--width", type=int, default=500)
    parser.add_argument("--labels", type=int, default=3)
    parser.add_argument("--image", type=Path, help="a photograph, which gives height and width")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    photograph = read_image(options.image) if options.image else blobs(options.height, options.width)
    image = np.array(photograph, order="C")  # the C++ one insists on writable memory in this order
    scores = soft_scores(options.labels, *image.shape[:2])
    crf = DenseCRF(image)
    posterior = crf(scores)
    calls = {
        "cold": lambda: cold(image, scores),
        "warm": lambda: dense_crf(image, scores),
        "again": lambda: crf(scores),
    }
    if importlib.util.find_spec("pydensecrf"):
        print(f"largest difference to C++: {(cpp(image, scores) - posterior).abs().max():.1e}")
        calls = {"C++": lambda: cpp(image, scores), **calls}
    print(f"{tuple(scores.shape)}\n{'':8} {'least s':>8} {'median s':>8}")
    for name, call in calls.items():
        least, median = seconds(call, options.repeats)
        print(f"{name:8} {least:8.3f} {median:8.3f}")


if __name__ == "__main__":
    main()
