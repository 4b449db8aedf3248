"""ResNet38 (Wu, Shen & van den Hengel, 2016): wide, pre-activated, 105 million parameters, at stride 8.

Modules are named as in the published AffinityNet checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn, relu_

from wsss.models.backbone import Backbone, Part, feature_maps

FACTS = {
    "output_strides": (8,),
    "channels": (64, 128, 256, 512, 1024, 4096),
    "strides": (1, 2, 4, 8, 8, 8),
}


class CountlessBatchNorm2d(nn.BatchNorm2d):
    """Batch norm without ``num_batches_tracked``, which the published state dicts do not have."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.num_batches_tracked = None

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *arguments: Any) -> None:
        # nn.BatchNorm2d would ask for the counter, and checkpoints of other people's code may hold one.
        state_dict.pop(prefix + "num_batches_tracked", None)
        nn.Module._load_from_state_dict(self, state_dict, prefix, *arguments)


def convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Convolution without bias that keeps the size, but for its stride."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=padding, dilation=dilation, bias=False)


class PlainBlock(nn.Module):
    """The residual branch is batch norm, ReLU and 3x3 convolution, twice.

    The shortcut is a 1x1 convolution of the first activation where channels or stride change, else the input.
    """

    def __init__(
        self, inputs: int, widths: tuple[int, int], *, stride: int = 1, dilations: tuple[int, int] = (1, 1)
    ) -> None:
        super().__init__()
        middle, outputs = widths
        self.bn_branch2a = CountlessBatchNorm2d(inputs)
        self.conv_branch2a = convolution(inputs, middle, 3, stride=stride, dilation=dilations[0])
        self.bn_branch2b1 = CountlessBatchNorm2d(middle)
        self.conv_branch2b1 = convolution(middle, outputs, 3, dilation=dilations[1])
        plain = inputs == outputs and stride == 1
        self.conv_branch1 = None if plain else convolution(inputs, outputs, 1, stride=stride)

    def activate(self, x: Tensor) -> Tensor:
        """The batch norm and ReLU that open the block."""
        return relu_(self.bn_branch2a(x))

    def forward(self, x: Tensor, activated: Tensor | None = None) -> Tensor:
        """``(B, inputs, h, w)`` → ``(B, widths[-1], ⌈h / stride⌉, ⌈w / stride⌉)``.

        Who has ``activate(x)`` already may hand it over.
        """
        activated = self.activate(x) if activated is None else activated
        shortcut = x if self.conv_branch1 is None else self.conv_branch1(activated)
        residual: Tensor = self.conv_branch2b1(relu_(self.bn_branch2b1(self.conv_branch2a(activated))))
        return residual + shortcut


class BottleneckBlock(nn.Module):
    """The residual branch is a 1x1, a dilated 3x3 and a 1x1 convolution.

    Batch norm and ReLU precede each, and dropout of whole channels the latter two. The shortcut is a 1x1
    convolution of the first activation.
    """

    def __init__(self, inputs: int, widths: tuple[int, int, int], *, dilation: int, dropout: float) -> None:
        super().__init__()
        narrow, middle, outputs = widths
        self.bn_branch2a = CountlessBatchNorm2d(inputs)
        self.conv_branch2a = convolution(inputs, narrow, 1)
        self.bn_branch2b1 = CountlessBatchNorm2d(narrow)
        self.conv_branch2b1 = convolution(narrow, middle, 3, dilation=dilation)
        self.bn_branch2b2 = CountlessBatchNorm2d(middle)
        self.dropout = nn.Dropout2d(dropout)
        self.conv_branch2b2 = convolution(middle, outputs, 1)
        self.conv_branch1 = convolution(inputs, outputs, 1)

    def activate(self, x: Tensor) -> Tensor:
        """The batch norm and ReLU that open the block."""
        return relu_(self.bn_branch2a(x))

    def forward(self, activated: Tensor) -> Tensor:
        """``activate(x)`` ``(B, inputs, h, w)`` → ``(B, widths[-1], h, w)``."""
        narrow = self.dropout(relu_(self.bn_branch2b1(self.conv_branch2a(activated))))
        middle = self.conv_branch2b1(narrow)
        residual: Tensor = self.conv_branch2b2(self.dropout(relu_(self.bn_branch2b2(middle))))
        shortcut: Tensor = self.conv_branch1(activated)
        return residual + shortcut


class ResNet38(Backbone):
    """The maps are conv1a, b2, b3, the activated inputs of b5 and of b6, and bn7 with ReLU."""

    flat_keys = True

    def __init__(self) -> None:
        super().__init__(feature_maps(FACTS, 8))
        self.conv1a = convolution(3, 64, 3)
        self._add_blocks("b2", 3, 64, (128, 128), stride=2)
        self._add_blocks("b3", 3, 128, (256, 256), stride=2)
        self._add_blocks("b4", 6, 256, (512, 512), stride=2)
        self.b5 = PlainBlock(512, (512, 1024), dilations=(1, 2))
        self.b5_1, self.b5_2 = (PlainBlock(1024, (512, 1024), dilations=(2, 2)) for _ in range(2))
        self.b6 = BottleneckBlock(1024, (512, 1024, 2048), dilation=4, dropout=0.3)
        self.b7 = BottleneckBlock(2048, (1024, 2048, 4096), dilation=4, dropout=0.5)
        self.bn7 = CountlessBatchNorm2d(4096)

    def _add_blocks(self, name: str, count: int, inputs: int, widths: tuple[int, int], stride: int) -> None:
        self.add_module(name, PlainBlock(inputs, widths, stride=stride))
        for number in range(1, count):
            self.add_module(f"{name}_{number}", PlainBlock(widths[-1], widths))

    def _blocks(self, name: str) -> list[nn.Module]:
        return [block for key, block in self.named_children() if key.startswith(name)]

    @property
    def stages(self) -> list[list[Part]]:
        """``conv1a``, then the blocks b2, b3, b4, b5, b6 and b7 with bn7."""
        blocks: list[list[Part]] = [[*self._blocks(f"b{number}")] for number in range(2, 7)]
        return [[self.conv1a], *blocks, [self.b7, self.bn7]]

    def pyramid(self, x: Tensor) -> Iterator[Tensor]:
        """``(B, 3, H, W)`` → six maps, the last three at stride 8."""
        x = self.conv1a(x)
        yield x
        for name in ("b2", "b3"):
            x = self._run(name, x)
            yield x
        x = self._run("b4", x)
        early = self.b5.activate(x)
        yield early
        x = self.b5_2(self.b5_1(self.b5(x, early)))
        middle = self.b6.activate(x)
        yield middle
        x = self.b7(self.b7.activate(self.b6(middle)))
        yield relu_(self.bn7(x))

    def _run(self, name: str, x: Tensor) -> Tensor:
        for block in self._blocks(name):
            x = block(x)
        return x


def build(name: str, output_stride: int | None) -> Backbone:
    """Build it with fresh weights."""
    return ResNet38()
