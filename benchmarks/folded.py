"""MobileNetV2 on a CPU with batch norms that stand still, in turn and folded (`wsss.models.folded`).

    OMP_NUM_THREADS=1 python -m benchmarks.folded [--clipped] [--repeats 5]

Seconds of a step of a training with frozen norms, and of a prediction, on random crops of the sizes that the
studies of photographs have: each in turn, and how many times as fast the folded one is. `--clipped` compares
PyTorch's ReLU6 with that of `wsss.models.clipped` instead, in the folded network.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn

from wsss.models.backbone import Backbone
from wsss.models.backbones import build_backbone
from wsss.models.clipped import ClippedInPlace
from wsss.models.folded import FoldingSequential
from wsss.models.grouped import train_in_groups
from wsss.runtime.compute import Compute

CROPS = ((16, 16, 224), (16, 8, 320), (8, 8, 320))
"""Output stride, batch, and crop in pixels."""

Step = Callable[[Backbone, Tensor, Compute], None]


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clipped", action="store_true", help="compare kinds of ReLU6")
    given = parser.parse_args()
    own, usual, name_of_own = (
        (ClippedInPlace, nn.ReLU6, "clipped")
        if given.clipped
        else (FoldingSequential, nn.Sequential, "folded")
    )
    torch.set_num_threads(1)
    compute = Compute(torch.device("cpu"))
    for stride, batch, crop in CROPS:
        faster = compute.place(build_backbone("mobilenet_v2", stride))
        train_in_groups(faster)
        plain = copy.deepcopy(faster)
        for module in plain.modules():
            if isinstance(module, own):
                module.__class__ = usual  # type: ignore[assignment]
        images = compute.put(torch.randn(batch, 3, crop, crop))
        for name, run in (("training", learn), ("prediction", predict)):
            before, after = timed(run, (plain, faster), images, compute, given.repeats)
            print(
                f"{name}, stride {stride}, {batch} crops of {crop} px: {1000 * before:.0f} ms, "
                f"{name_of_own} {1000 * after:.0f} ms ({before / after:.2f} times as fast)",
                flush=True,
            )


def timed(
    run: Step, networks: tuple[Backbone, Backbone], images: Tensor, compute: Compute, repeats: int
) -> list[float]:
    """The median seconds of each network, which take turns."""
    taken: list[list[float]] = [[] for _ in networks]
    for repeat in range(repeats + 1):
        for times, network in zip(taken, networks, strict=True):
            start = time.process_time()
            run(network, images, compute)
            if repeat:  # the first one warms up
                times.append(time.process_time() - start)
    return [median(times) for times in taken]


def learn(network: Backbone, images: Tensor, compute: Compute) -> None:
    """A step with the frozen stages and norms of voc-animals, and the gradient of a mean."""
    network.freeze(2, "frozen")
    network.train()
    network.zero_grad()
    with compute.autocast():
        last = network(images).last
    last.float().square().mean().backward()


def predict(network: Backbone, images: Tensor, compute: Compute) -> None:
    """The features of a batch."""
    network.eval()
    with torch.inference_mode(), compute.autocast():
        network(images)


if __name__ == "__main__":
    main()
