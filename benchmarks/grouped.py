"""Training MobileNetV2 on a CPU with PyTorch's grouped convolutions, and with those of `wsss.models.grouped`.

    OMP_NUM_THREADS=1 python -m benchmarks.grouped [--batch 8] [--repeats 5]

Forward and backward pass of the backbone in bfloat16 on random crops, of the sizes that the studies of
photographs train on: processor time of both in turn.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch
from torch import Tensor, nn

from wsss.models.backbones import build_backbone
from wsss.models.grouped import train_in_groups

CROPS = ((16, 224), (16, 320), (16, 512), (8, 320))
"""Output stride and crop in pixels: segmentation network and classifier, at full size, and IRNet."""


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    for stride, crop in CROPS:
        images = torch.randn(given.batch, 3, crop, crop).to(memory_format=torch.channels_last)
        plain, grouped = (network(stride, changed=changed) for changed in (False, True))
        for net in (plain, grouped):
            step(net, images)
        times: list[list[float]] = [[], []]
        for _ in range(given.repeats):
            for taken, net in zip(times, (plain, grouped), strict=True):
                start = time.process_time()
                step(net, images)
                taken.append(time.process_time() - start)
        before, after = (1000 * median(taken) for taken in times)
        print(
            f"stride {stride}, {given.batch} crops of {crop} px: {before:.0f} ms, grouped {after:.0f} ms "
            f"({before / after:.2f} times as fast)",
            flush=True,
        )


def network(stride: int, *, changed: bool) -> nn.Module:
    """MobileNetV2 with batch norms that learn, as trained at an output stride."""
    backbone = build_backbone("mobilenet_v2", stride).to(memory_format=torch.channels_last)
    backbone.train()
    if changed:
        train_in_groups(backbone)
    return backbone


def step(net: nn.Module, images: Tensor) -> None:
    """A mean over the last features, and its gradient."""
    net.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        last = net(images).last
    last.float().square().mean().backward()


if __name__ == "__main__":
    main()
