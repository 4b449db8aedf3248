"""From the names in MXNet's and Caffe's files to the keys of the published networks' state dicts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

State = dict[str, np.ndarray]

MXNET_SUFFIXES = {
    "weight": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_var": "running_var",
}
#: res2a_branch2a_weight, bn4b3_branch2b1_gamma: kind, stage, "a" or the block's number, branch, what it is.
MXNET_BLOCK = re.compile(
    r"(res|bn)([2-7])(?:a|b(\d+))_(branch\w+?)_(weight|gamma|beta|moving_mean|moving_var)"
)
MXNET_PLAIN = re.compile(r"(conv1a|bn7)_(weight|gamma|beta|moving_mean|moving_var)")
CAFFE_LAYER = re.compile(r"conv[1-5]_[1-3]|fc[67]")


def resnet38_state(arrays: Mapping[str, np.ndarray]) -> tuple[State, list[str]]:
    """Name the arrays of an MXNet file as ResNet38 does; also list the names that it has no use for."""
    state: State = {}
    unused = []
    for name, array in arrays.items():
        key = resnet38_key(name)
        if key is None:
            unused.append(name)
        else:
            state[key] = array
    return state, unused


def resnet38_key(name: str) -> str | None:
    """``arg:res2b1_branch2a_weight`` → ``b2_1.conv_branch2a.weight``; None for what ResNet38 has not."""
    name = name.removeprefix("arg:").removeprefix("aux:")
    if match := MXNET_PLAIN.fullmatch(name):
        return f"{match[1]}.{MXNET_SUFFIXES[match[2]]}"
    if match := MXNET_BLOCK.fullmatch(name):
        kind = "conv" if match[1] == "res" else "bn"
        block = f"b{match[2]}_{match[3]}" if match[3] else f"b{match[2]}"
        return f"{block}.{kind}_{match[4]}.{MXNET_SUFFIXES[match[5]]}"
    return None


def vgg16_state(layers: Mapping[str, Sequence[np.ndarray]]) -> tuple[State, list[str]]:
    """Name the blobs of a Caffe file as VGG16 does; also list the layers that it has no use for.

    Old files give a bias four dimensions, the first three of size 1.
    """
    state: State = {}
    unused = []
    for layer, blobs in layers.items():
        if CAFFE_LAYER.fullmatch(layer) and len(blobs) == 2:
            state[f"{layer}.weight"], state[f"{layer}.bias"] = blobs[0], blobs[1].reshape(-1)
        else:
            unused.append(layer)
    return state, unused
