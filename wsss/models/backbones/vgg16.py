"""VGG16 (Simonyan & Zisserman, 2015) in DeepLab's variant of 20 million parameters, at stride 8.

Modules are named as in the published AffinityNet checkpoints and in Caffe.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import relu

from wsss.models.backbone import Backbone, Part, Task, feature_maps
from wsss.models.normalization import Normalization

FACTS = {
    "output_strides": (8,),
    "channels": (64, 128, 256, 512, 512, 1024),
    "strides": (1, 2, 4, 8, 8, 8),
    "normalization": "caffe",
}

#: Channels of the convolutions of each stage, and their dilation.
WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
DILATIONS = (1, 1, 1, 1, 2)
FC6_DILATIONS: dict[Task, int] = {"classifier": 1, "affinity": 4, "segmentation": 12}
#: Caffe's mean colour: blue, green, red, on the scale of 0 … 255, which stays unscaled.
CAFFE_MEAN = (104.008, 116.669, 122.675)


class VGG16(Backbone):
    """The maps are conv1_2, conv2_2, conv3_3, conv4_3, conv5_3 and fc7, each after its ReLU.

    ``fc6`` and ``fc7`` are convolutions. The dilation of ``fc6`` depends on the network it is built into.
    """

    normalization = Normalization(
        (CAFFE_MEAN[0] / 255, CAFFE_MEAN[1] / 255, CAFFE_MEAN[2] / 255), (1 / 255, 1 / 255, 1 / 255), bgr=True
    )
    cam_exponent = 0.5
    flat_keys = True

    def __init__(self) -> None:
        super().__init__(feature_maps(FACTS, 8))
        inputs = 3
        for stage, (widths, dilation) in enumerate(zip(WIDTHS, DILATIONS, strict=True), start=1):
            for number, (before, width) in enumerate(pairwise((inputs, *widths)), start=1):
                convolution = nn.Conv2d(before, width, 3, padding=dilation, dilation=dilation)
                self.add_module(f"conv{stage}_{number}", convolution)
            inputs = widths[-1]
        self.fc6 = nn.Conv2d(inputs, 1024, 3, padding=1)
        self.fc7 = nn.Conv2d(1024, 1024, 1)
        self.halve = nn.MaxPool2d(3, stride=2, padding=1)
        self.pool4 = nn.MaxPool2d(3, stride=1, padding=1)
        self.pool5: nn.Module = nn.Identity()
        self.dropout = nn.Dropout2d(0.5)

    @property
    def stages(self) -> list[list[Part]]:
        """``conv1`` … ``conv5``, then ``fc6`` with ``fc7``."""
        convolutions: list[list[Part]] = [
            [self.get_submodule(f"conv{stage}_{number}") for number in range(1, len(widths) + 1)]
            for stage, widths in enumerate(WIDTHS, start=1)
        ]
        return [*convolutions, [self.fc6, self.fc7]]

    def fit_to(self, task: Task) -> None:
        """Set the dilation of ``fc6``; segmentation also gets DeepLab-LargeFOV's fifth pools."""
        dilation = FC6_DILATIONS[task]
        self.fc6.dilation = self.fc6.padding = (dilation, dilation)
        if task == "segmentation":
            self.pool5 = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), nn.AvgPool2d(3, 1, padding=1))

    def pyramid(self, x: Tensor) -> Iterator[Tensor]:
        """``(B, 3, H, W)`` → six maps, the last three at stride 8."""
        for stage, pool in enumerate((None, self.halve, self.halve, self.halve, self.pool4), start=1):
            x = self._convolve(stage, x if pool is None else pool(x))
            yield x
        x = self.dropout(relu(self.fc6(self.pool5(x))))
        yield relu(self.fc7(x))

    def _convolve(self, stage: int, x: Tensor) -> Tensor:
        for number in range(1, 1 + len(WIDTHS[stage - 1])):
            x = relu(self.get_submodule(f"conv{stage}_{number}")(x))
        return x


def build(name: str, output_stride: int | None) -> Backbone:
    """Build it with fresh weights."""
    return VGG16()
