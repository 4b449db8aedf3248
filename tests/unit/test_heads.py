"""Decoders of segmentation_models_pytorch on backbones of every kind of pyramid."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wsss.models.backbone import FeatureMap
from wsss.models.backbones import build_backbone
from wsss.models.heads import smp
from wsss.models.parameters import freeze, parameter_groups
from wsss.models.segmenter import Segmenter, build_segmenter
from wsss.study import config
from wsss.study.config import Sgd
from wsss.study.registry import head_facts

HEADS = [f"smp/{decoder}" for decoder in smp.FACTS["decoders"]]
CNN, VIT = "timm/mobilenetv3_small_100", "timm/vit_tiny_patch16_224"
BACKBONES = [(CNN, None), (VIT, None), ("small", 8), ("resnet18", 16), ("resnet18", 32)]


def image(height: int = 70, width: int = 99, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def segmenter(backbone: str, head: str, output_stride: int | None = None) -> Segmenter:
    torch.manual_seed(0)
    return build_segmenter(
        config.Segmenter(backbone=backbone, head=head, output_stride=output_stride, crop_size=96), 3
    )


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("backbone", "output_stride"), BACKBONES)
def test_logits_have_the_size_of_the_input(backbone: str, output_stride: int | None, head: str) -> None:
    model = segmenter(backbone, head, output_stride).eval()
    with torch.no_grad():
        for size in ((70, 99), (64, 64)):
            assert model(image(*size)).shape == (1, 3, *size)


@pytest.mark.parametrize("head", HEADS)
def test_published_backbones_and_patches_of_14_pixels_fit_too(head: str) -> None:
    for name in ("vgg16", "resnet38", "timm/vit_small_patch14_dinov2"):
        with torch.device("meta"):
            model = segmenter(name, head, 8 if name in ("vgg16", "resnet38") else None).eval()
            assert model(torch.empty(1, 3, 70, 99)).shape == (1, 3, 70, 99)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("backbone", [CNN, VIT])
def test_a_step_on_a_single_image_moves_every_layer_of_the_head(backbone: str, head: str) -> None:
    model = segmenter(backbone, head)
    freeze(model, 1, "frozen")
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimizer = torch.optim.SGD(parameter_groups(model.train(), Sgd(learning_rate=0.1)))
    model(image()).square().sum().backward()
    optimizer.step()
    stem = {id(parameter) for part in model.backbone.stages[0] for parameter in parameters_of(part)}
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert {name for name in before if name.startswith("head.")} <= moved
    assert not moved & {name for name, parameter in model.named_parameters() if id(parameter) in stem}


def parameters_of(part: nn.Module | nn.Parameter) -> list[nn.Parameter]:
    return [part] if isinstance(part, nn.Parameter) else list(part.parameters())


@pytest.mark.parametrize("head", HEADS)
def test_state_dicts_round_trip(head: str) -> None:
    first, second = segmenter(VIT, head).eval(), segmenter(VIT, head).eval()
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.zero_()
        second.load_state_dict(first.state_dict())
        assert torch.equal(first(image()), second(image()))


@pytest.mark.parametrize("head", ["smp/unet", "smp/segformer", "smp/upernet"])
def test_a_dilated_backbone_keeps_its_resolution(head: str) -> None:
    """What the last map says of one of its cells of 8 pixels must not be averaged away."""
    read = segmenter("small", head, 8).head.strides
    assert read[-3:] == (8, 8, 8)
    assert segmenter(VIT, head).head.strides[-2:] == (16, 16)


def test_maps_are_read_in_their_order_from_fine_to_coarse() -> None:
    """Each place of U-Net takes the map of its stride: maps in another order would change the logits."""
    maps = [FeatureMap(channels=2, stride=stride) for stride in smp.PLACES]
    torch.manual_seed(0)
    head = smp.build("smp/unet", maps, 3, 64).eval()
    sides = [64 // known.stride for known in maps]
    pyramid = [torch.full((1, 2, side, side), side / 8) for side in sides]
    with torch.no_grad():
        logits = head(iter(pyramid), (64, 64))
        assert logits.shape == (1, 3, 64, 64)
        expected = head.segmentation_head(head.decoder([torch.zeros(1, 3, 64, 64), *pyramid]))
    torch.testing.assert_close(logits, expected)


def test_backbones_of_three_maps_are_refused() -> None:
    with pytest.raises(ValueError, match="smp/fpn needs four feature maps, the backbone has 3"):
        smp.build("smp/fpn", [FeatureMap(8, stride) for stride in (8, 16, 32)], 3, 64)


def test_every_decoder_is_a_head_of_the_registry() -> None:
    assert {head_facts(head).module for head in HEADS} == {"wsss.models.heads.smp"}
    with pytest.raises(ValueError, match="no such head, did you mean 'smp/unet'"):
        head_facts("smp/unett")


def test_pyramids_are_consumed_without_keeping_finer_maps_than_a_head_reads() -> None:
    backbone = build_backbone("resnet18", 32).eval()
    head = smp.build("smp/fpn", backbone.maps, 3, 64).eval()
    with torch.no_grad():
        assert head(backbone.pyramid(image(64, 64)), (64, 64)).shape[-2:] == (16, 16)
    assert head.own == (4, 8, 16, 32)
