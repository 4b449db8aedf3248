"""Decoders of segmentation_models_pytorch as heads, for any backbone of four feature maps or more.

They are made for maps of strides 4, 8, 16 and 32, and U-Net for one of stride 2 besides. The backbone's last
maps take these places in order. What is coarser than its place is resized, as are the maps of a transformer,
which have one stride. What is finer stays as it is where the decoder can read it, so that a dilated backbone
keeps its resolution.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from segmentation_models_pytorch.base import SegmentationHead
from segmentation_models_pytorch.base.initialization import initialize_decoder, initialize_head
from segmentation_models_pytorch.decoders.deeplabv3.decoder import DeepLabV3PlusDecoder
from segmentation_models_pytorch.decoders.fpn.decoder import FPNDecoder
from segmentation_models_pytorch.decoders.segformer.decoder import SegformerDecoder
from segmentation_models_pytorch.decoders.unet.decoder import UnetDecoder
from segmentation_models_pytorch.decoders.upernet.decoder import UPerNetDecoder
from torch import Tensor, nn

from wsss.models.backbone import FeatureMap, resize
from wsss.models.head import PooledBatchNorm2d, atrous_rates

FACTS = {"decoders": ("unet", "fpn", "deeplabv3plus", "segformer", "upernet")}

PREFIX = "smp/"
#: Strides of the places of feature maps; all decoders but U-Net go without the first.
PLACES = (2, 4, 8, 16, 32)
#: Channels of the decoders' outputs, the defaults of the library.
UNET_CHANNELS = (256, 128, 64, 32, 16)
WIDTH = 256
ASPP_DROPOUT = 0.5


@dataclass(frozen=True)
class Decoder:
    """A decoder, and what it reads.

    Attributes:
        module: from a list of maps, of which the first stands for the images themselves.
        channels: of its output.
        strides: at which it reads the backbone's last maps.
        doubles: whether each map must have exactly twice the cells of the one of twice its stride.
        kernel_size: of the convolution that follows it.
    """

    module: nn.Module
    channels: int
    strides: tuple[int, ...]
    doubles: bool = False
    kernel_size: int = 1


class SmpHead(nn.Module):
    """Feature maps at the decoder's strides → decoder → one convolution → logits."""

    def __init__(self, decoder: Decoder, maps: Sequence[FeatureMap], n_values: int) -> None:
        super().__init__()
        self.own = tuple(known.stride for known in maps)
        self.strides, self.doubles = decoder.strides, decoder.doubles
        self.decoder = decoder.module
        self.segmentation_head = SegmentationHead(decoder.channels, n_values, decoder.kernel_size)
        initialize_decoder(self.decoder)
        initialize_head(self.segmentation_head)

    def forward(self, pyramid: Iterable[Tensor], size: Sequence[int]) -> Tensor:
        """Feature maps from fine to coarse, of images of ``size`` → logits ``(B, n_values, h, w)``."""
        placed = [
            feature if own == stride and not self.doubles else resize(feature, self._grid(size, stride))
            for feature, own, stride in zip(
                deque(pyramid, maxlen=len(self.own)), self.own, self.strides, strict=True
            )
        ]
        # Decoders read the size of the images and of the maps that are absent, and no channel of them.
        absent = [size, *(self._grid(size, stride) for stride in PLACES[: len(PLACES) - len(placed)])]
        empty = [placed[-1].new_empty(placed[-1].shape[0], 0, *absent_size) for absent_size in absent]
        logits: Tensor = self.segmentation_head(self.decoder([*empty, *placed]))
        return logits

    def _grid(self, size: Sequence[int], stride: int) -> list[int]:
        # Rounded up without negative numbers, whose division ONNX rounds towards zero.
        whole = PLACES[-1] if self.doubles else stride
        return [(side + whole - 1) // whole * whole // stride for side in size]


def unet(maps: Sequence[FeatureMap], channels: Sequence[int], crop_size: int) -> Decoder:
    """U-Net (Ronneberger et al., 2015): each map joins at its own resolution."""
    return Decoder(UnetDecoder(channels, UNET_CHANNELS), UNET_CHANNELS[-1], kept(maps), kernel_size=3)


def fpn(maps: Sequence[FeatureMap], channels: Sequence[int], crop_size: int) -> Decoder:
    """Feature pyramid network (Kirillov et al., 2019), which doubles each map."""
    module = FPNDecoder(list(channels))
    return Decoder(module, module.out_channels, PLACES[-len(maps) :], doubles=True)


def deeplabv3plus(maps: Sequence[FeatureMap], channels: Sequence[int], crop_size: int) -> Decoder:
    """DeepLabV3+ (Chen et al., 2018): atrous pooling at stride 8 or 16, joined with the map of stride 4."""
    last = 8 if maps[-1].stride <= 8 else 16
    rates = atrous_rates(crop_size, last)
    module = DeepLabV3PlusDecoder(channels, 5, WIDTH, rates, last, True, ASPP_DROPOUT)
    return Decoder(module, WIDTH, (4, 8, last, last), doubles=True)


def segformer(maps: Sequence[FeatureMap], channels: Sequence[int], crop_size: int) -> Decoder:
    """SegFormer (Xie et al., 2021): all maps resized to stride 4 and mixed."""
    return Decoder(SegformerDecoder(list(channels)), WIDTH, kept(maps))


def upernet(maps: Sequence[FeatureMap], channels: Sequence[int], crop_size: int) -> Decoder:
    """UPerNet (Xiao et al., 2018): the last map pooled, then a feature pyramid."""
    return Decoder(UPerNetDecoder(channels), WIDTH, kept(maps))


DECODERS: dict[str, Callable[[Sequence[FeatureMap], Sequence[int], int], Decoder]] = {
    decoder.__name__: decoder for decoder in (unet, fpn, deeplabv3plus, segformer, upernet)
}


def kept(maps: Sequence[FeatureMap]) -> tuple[int, ...]:
    """The strides at which maps are read that need not halve from one to the next: none is made coarser."""
    places = PLACES[-len(maps) :]
    return tuple(min(known.stride, place) for known, place in zip(maps, places, strict=True))


def build(name: str, maps: Sequence[FeatureMap], n_values: int, crop_size: int) -> nn.Module:
    """Build a head; ``name`` is ``smp/`` and one of `FACTS`' decoders.

    Raises:
        ValueError: if the backbone has less than four feature maps.
    """
    decoder = DECODERS[name.removeprefix(PREFIX)]
    used = maps[-len(PLACES) :] if decoder is unet else maps[1 - len(PLACES) :]
    if len(used) < len(PLACES) - 1:
        raise ValueError(f"segmenter.head: {name} needs four feature maps, the backbone has {len(used)}")
    absent = [0] * (len(PLACES) - len(used))
    chosen = decoder(used, [3, *absent, *(known.channels for known in used)], crop_size)
    train_on_one_image(chosen.module)
    return SmpHead(chosen, used, n_values)


def train_on_one_image(decoder: nn.Module) -> None:
    """Replace the batch norms that follow a pool of the whole image, where a batch of one has one value."""
    for module in decoder.modules():
        pooled = isinstance(module, nn.Sequential) and any(
            isinstance(part, nn.AdaptiveAvgPool2d) and part.output_size == 1 for part in module
        )
        for name, part in list(module.named_modules()) if pooled else ():
            if type(part) is nn.BatchNorm2d:
                module.set_submodule(name, PooledBatchNorm2d(part.num_features))
