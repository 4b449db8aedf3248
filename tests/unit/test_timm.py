"""Networks of timm as backbones, with random weights: sizes of images, CAMs, affinities, freezing, files."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import huggingface_hub
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from wsss.models.affinitynet import AffinityNet
from wsss.models.backbone import Backbone
from wsss.models.backbones import build_backbone
from wsss.models.classifier import Classifier, build_classifier
from wsss.models.initial_weights import resolve_weights
from wsss.models.parameters import freeze, parameter_groups
from wsss.study import config
from wsss.study.config import AdamW, Sgd
from wsss.study.config.networks import Network as NetworkSection

CONVOLUTIONAL = ("timm/resnet50", "timm/convnext_tiny", "timm/efficientnet_b0", "timm/mobilenetv3_small_100")
PLAIN = ("timm/vit_small_patch16_224", "timm/vit_small_patch14_dinov2")
NAMES = (*CONVOLUTIONAL, *PLAIN, "timm/swin_tiny_patch4_window7_224")
SMALL_CNN, SMALL_VIT = "timm/mobilenetv3_small_100", "timm/vit_tiny_patch16_224"
SIZE = (70, 99)


@pytest.fixture(scope="module", params=NAMES)
def backbone(request: pytest.FixtureRequest) -> Backbone:
    """One network for all tests of this module, which leave it as it was."""
    torch.manual_seed(0)
    return build_backbone(request.param, None).eval()


def image(height: int = SIZE[0], width: int = SIZE[1], batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def classifier(name: str, **options: object) -> Classifier:
    torch.manual_seed(0)
    section = config.Classifier.model_validate({"backbone": name, "output_stride": None, **options})
    return build_classifier(section, 4)


def cells(size: tuple[int, int], stride: int) -> tuple[int, int]:
    return math.ceil(size[0] / stride), math.ceil(size[1] / stride)


def test_maps_have_the_announced_channels_and_grids_of_whole_cells(backbone: Backbone) -> None:
    for size in (SIZE, (64, 64)):
        with torch.no_grad():
            maps = list(backbone.pyramid(image(*size)))
        assert [tuple(found.shape) for found in maps] == [
            (1, known.channels, *cells(size, known.stride)) for known in backbone.maps
        ]


def test_strides_are_those_of_the_architecture(backbone: Backbone) -> None:
    name = backbone.model.pretrained_cfg["architecture"]
    own = {"vit_small_patch16_224": [16] * 4, "vit_small_patch14_dinov2": [14] * 4}
    halving = [2, 4, 8, 16, 32] if name.startswith(("resnet", "eff", "mobile")) else [4, 8, 16, 32]
    assert [known.stride for known in backbone.maps] == own.get(name, halving)


def test_logits_are_the_mean_of_the_cam(backbone: Backbone) -> None:
    torch.manual_seed(0)
    model = Classifier(backbone, 4, dropout=0.5).eval()
    with torch.no_grad():
        logits, cam = model(image(batch=2)), model.cam(image(batch=2))
    assert cam.shape == (2, 4, *cells(SIZE, backbone.maps[-1].stride))
    torch.testing.assert_close(logits, cam.mean((-2, -1)), rtol=1e-4, atol=1e-5)


def test_the_classifier_averages_what_timms_own_head_reads(backbone: Backbone) -> None:
    """Images of whole patches, so that none is padded: then only the order of average and norm differs."""
    x = image(112 if backbone.maps[0].stride == 14 else 96, 224 if backbone.maps[0].stride == 14 else 96)
    with torch.no_grad():
        last = backbone(x).last
        features = backbone.model.forward_features(x)
    if features.ndim == 3:
        prefix = backbone.model.num_prefix_tokens
        features = features[:, prefix:].transpose(1, 2).unflatten(2, last.shape[-2:])
    elif features.shape[1] != last.shape[1]:
        features = features.permute(0, 3, 1, 2)
    torch.testing.assert_close(last, features)


def test_affinities_lie_on_the_grid_of_stride_8_for_odd_sizes(backbone: Backbone) -> None:
    torch.manual_seed(0)
    net = AffinityNet(backbone, radius=3, border="full", normalization="group").eval()
    with torch.no_grad():
        features, stencil = net.features(image()), net(image())
    assert {tuple(feature.shape[-2:]) for feature in features} == {cells(SIZE, 8)}
    assert stencil.shape[-2:] == cells(SIZE, 8)
    assert ((stencil >= 0) & (stencil <= 1)).all()


def test_stages_hold_each_parameter_once_and_in_order(backbone: Backbone) -> None:
    staged = [
        id(parameter)
        for stage in backbone.stages
        for part in stage
        for parameter in ([part] if isinstance(part, nn.Parameter) else part.parameters())
    ]
    assert staged == [id(parameter) for parameter in backbone.parameters()]
    assert 5 <= len(backbone.stages) <= 6


def test_gradients_reach_every_parameter_of_the_classifier(backbone: Backbone) -> None:
    model = Classifier(backbone, 4, dropout=0)
    freeze(model, 0, "trained")
    model(image(batch=2)).square().sum().backward()
    unreached = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    model.zero_grad()
    assert not unreached


def test_state_dicts_have_timms_own_names(backbone: Backbone) -> None:
    config = backbone.model.pretrained_cfg
    with torch.device("meta"):
        own = timm.create_model(config["architecture"], num_classes=10).state_dict()
    heads = (
        config["classifier"] + ".",
        *(("conv_head.",) if "mobilenetv3" in config["architecture"] else ()),
    )
    assert [(key, value.shape) for key, value in backbone.state_dict().items()] == [
        (key, value.shape) for key, value in own.items() if not key.startswith(heads)
    ]


def test_a_network_of_timm_is_normalised_as_timm_says() -> None:
    normalization = build_backbone("timm/vit_tiny_patch16_224", None).normalization
    assert (normalization.mean, normalization.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("name", ["timm/convnext_tiny", "timm/efficientnet_b0"])
def test_convolutional_networks_dilate(name: str, output_stride: int) -> None:
    backbone = build_backbone(name, output_stride).eval()
    assert [known.stride for known in backbone.maps[-3:]] == [8, min(16, output_stride), output_stride]
    with torch.no_grad():
        assert backbone(image()).last.shape[-2:] == cells(SIZE, output_stride)


@pytest.mark.parametrize(
    ("name", "output_stride", "allowed"),
    [
        ("timm/vit_small_patch16_224", 8, "null or 16"),
        ("timm/vit_small_patch14_dinov2", 16, "null or 14"),
        ("timm/swin_tiny_patch4_window7_224", 16, "null or 32"),
        ("timm/mobilenetv3_small_100", 8, "null or 32"),
    ],
)
def test_strides_that_a_network_cannot_have_are_refused(name: str, output_stride: int, allowed: str) -> None:
    with pytest.raises(ValueError, match=f"output_stride: got {output_stride}, allowed {allowed} for {name}"):
        build_backbone(name, output_stride)


def test_a_networks_own_stride_may_be_named() -> None:
    assert build_backbone("timm/vit_tiny_patch16_224", 16).maps[-1].stride == 16


def test_networks_for_one_size_of_image_are_refused() -> None:
    with pytest.raises(ValueError, match="timm/mixer_s16_224 reads images of one size only"):
        build_backbone("timm/mixer_s16_224", None)


def test_building_twice_from_one_seed_gives_the_same_weights() -> None:
    first, second = (classifier(SMALL_VIT).state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_images_of_the_native_size_see_the_position_embeddings_as_they_are() -> None:
    torch.manual_seed(0)
    backbone = build_backbone(SMALL_VIT, None).eval()
    plain = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    plain.load_state_dict(backbone.state_dict())
    x = image(224, 224)
    with torch.no_grad():
        tokens = plain.forward_features(x)[:, 1:]
        torch.testing.assert_close(backbone(x).last.flatten(2).transpose(1, 2), tokens)


def test_padding_reaches_no_further_than_one_patch() -> None:
    torch.manual_seed(0)
    backbone = build_backbone(SMALL_VIT, None).eval()
    x = image(32, 40)
    padded = nn.functional.pad(x, (0, 8))
    with torch.no_grad():
        assert torch.equal(backbone(x).last, backbone(padded).last)
        assert backbone(x).last.shape[-2:] == (2, 3)


@pytest.mark.parametrize("name", [SMALL_CNN, SMALL_VIT])
@pytest.mark.parametrize("frozen_stages", [0, 2])
def test_nothing_frozen_moves_and_all_else_does(name: str, frozen_stages: int) -> None:
    model = classifier(name)
    freeze(model, frozen_stages, "frozen")
    frozen = {
        id(parameter)
        for stage in model.backbone.stages[:frozen_stages]
        for part in stage
        for parameter in ([part] if isinstance(part, nn.Parameter) else part.parameters())
    }
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    frozen |= {id(parameter) for norm in norms for parameter in norm.parameters()}
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    optimizer = torch.optim.AdamW(parameter_groups(model.train(), AdamW(kind="adamw", learning_rate=0.01)))
    model(image(batch=2)).square().sum().backward()
    optimizer.step()
    for key, parameter in model.named_parameters():
        assert torch.equal(parameter, before[key]) == (id(parameter) in frozen), key
    assert all(torch.equal(buffer, buffers[key]) for key, buffer in model.named_buffers())


def test_dropout_and_stochastic_depth_of_frozen_stages_stand_still() -> None:
    model = classifier("timm/swin_tiny_patch4_window7_224")
    depths = [
        module for module in model.modules() if type(module).__name__ == "DropPath" and module.drop_prob > 0
    ]
    assert depths
    freeze(model, len(model.backbone.stages), "trained")
    assert not any(module.training for module in depths if model.train())
    freeze(model, 0, "trained")
    assert all(module.training for module in depths if model.train())


def groups_of(model: Classifier, section: Sgd | AdamW) -> list[set[str]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, section)
    assert sum(len(group["params"]) for group in groups) == len(names)
    return [{names[id(parameter)] for parameter in group["params"]} for group in groups]


@pytest.mark.parametrize("name", [SMALL_CNN, SMALL_VIT, "timm/swin_tiny_patch4_window7_224"])
def test_only_matrices_decay(name: str) -> None:
    model = classifier(name)
    section = AdamW(kind="adamw", learning_rate=0.1, weight_decay=0.05, head_lr_multiplier=10)
    decayed, kept, biases, head, head_kept, head_biases = groups_of(model, section)
    parameters = dict(model.named_parameters())
    assert {parameters[key].ndim for key in decayed} <= {2, 4}
    assert all(key.endswith("bias") for key in biases)
    assert all(
        parameters[key].ndim == 1 or key.endswith(("pos_embed", "cls_token", "relative_position_bias_table"))
        for key in kept
    )
    assert ("backbone.model.pos_embed" in kept) == ("vit" in name)
    assert (head, head_kept, head_biases) == ({"fc8.weight"}, set(), set())
    groups = parameter_groups(model, section)
    assert [group["weight_decay"] for group in groups] == [0.05, 0, 0, 0.05, 0, 0]
    assert [group["lr"] for group in groups] == pytest.approx([0.1, 0.1, 0.1, 1, 1, 1])


def saved(path: Path, state: dict[str, torch.Tensor]) -> str:
    if path.suffix == ".safetensors":
        save_file({key: value.contiguous() for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    return str(path)


@pytest.mark.parametrize("file", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize(
    "name", [SMALL_CNN, SMALL_VIT, "timm/convnext_atto", "timm/swin_tiny_patch4_window7_224"]
)
def test_files_of_timm_load_without_their_heads(tmp_path: Path, name: str, file: str) -> None:
    state = timm.create_model(name.removeprefix("timm/"), num_classes=7).state_dict()
    found = resolve_weights(saved(tmp_path / file, state), name)
    model = classifier(name)
    assert found is not None
    assert found.keys() == model.backbone.state_dict().keys()
    assert all(torch.equal(found[key], state[key]) for key in found)
    build_classifier(config.Classifier(backbone=name, output_stride=None), 4, found)


def test_state_dicts_of_our_networks_start_others(tmp_path: Path) -> None:
    model = classifier(SMALL_VIT)
    found = resolve_weights(saved(tmp_path / "c.pt", model.state_dict()), SMALL_VIT)
    assert found is not None
    other = build_classifier(config.Classifier(backbone=SMALL_VIT, output_stride=None), 9, found)
    state = copy.deepcopy(model.state_dict())
    state.pop("fc8.weight")
    assert all(torch.equal(other.state_dict()[key], value) for key, value in state.items())


def test_position_embeddings_of_another_grid_are_resized(tmp_path: Path) -> None:
    state = timm.create_model("vit_tiny_patch16_224", img_size=96).state_dict()
    found = resolve_weights(saved(tmp_path / "w.pth", state), SMALL_VIT)
    assert found is not None
    assert found["pos_embed"].shape == (1, 197, 192)
    torch.testing.assert_close(found["pos_embed"][:, 0], state["pos_embed"][:, 0])


def test_files_of_another_network_are_refused_in_few_lines_that_name_the_nearest_prefix(
    tmp_path: Path,
) -> None:
    own = timm.create_model("vit_tiny_patch16_224", num_classes=0).state_dict()
    own = dict(list(own.items())[:60])
    state = {f"student.encoder.{key}": value for key, value in own.items()}
    with pytest.raises(ValueError, match=f"does not fit {SMALL_VIT}") as caught:
        resolve_weights(saved(tmp_path / "w.pth", state), SMALL_VIT)
    said = str(caught.value)
    assert f"the prefix 'student.encoder.' comes nearest: without it, {len(own)} of the names" in said
    assert "unknown student.encoder.cls_token" in said
    assert len(said.splitlines()) <= 10


def test_tags_of_weights_name_their_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def download(repository: str, file: str) -> str:
        asked.append((repository, file))
        state = timm.create_model("vit_small_patch16_224", num_classes=0).state_dict()
        return saved(tmp_path / file, state)

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr("wsss.models.backbones.timm.hf_hub_download", download)
    name = "timm/vit_small_patch16_224.dino"
    assert resolve_weights("imagenet", name) is not None
    assert asked == [("timm/vit_small_patch16_224.dino", "model.safetensors")]
    assert build_backbone(name, None).normalization.mean == (0.485, 0.456, 0.406)


def test_without_a_connection_the_error_says_which_file_goes_where(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        ValueError, match=r"cannot get model\.safetensors of https://huggingface\.co/timm/"
    ) as caught:
        resolve_weights("imagenet", "timm/resnet50.a1_in1k")
    said = str(caught.value)
    assert "timm/resnet50.a1_in1k" in said
    assert "name it in the study, as in `classifier: {weights: model.safetensors}`" in said
    assert f"the folder models--timm--resnet50.a1_in1k of another machine's cache into {tmp_path}" in said


def test_cached_weights_need_no_connection(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("wsss.models.backbones.timm.hf_hub_download", lambda *_: pytest.fail("asked the hub"))
    folder = tmp_path / "models--timm--mobilenetv3_small_100.lamb_in1k"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("0123")
    (folder / "snapshots" / "0123").mkdir(parents=True)
    state = timm.create_model("mobilenetv3_small_100").state_dict()
    saved(folder / "snapshots" / "0123" / "model.safetensors", state)
    found = resolve_weights("imagenet", SMALL_CNN)
    assert found is not None
    assert torch.equal(found["conv_stem.weight"], state["conv_stem.weight"])


def test_networks_that_timm_has_no_weights_of_are_refused() -> None:
    with pytest.raises(ValueError, match="timm has no file of weights of timm/convnextv2_small; give a path"):
        resolve_weights("imagenet", "timm/convnextv2_small")


def test_sections_accept_any_network_of_timm() -> None:
    section = NetworkSection(backbone="timm/vit_small_patch14_dinov2.lvd142m", output_stride=None)
    assert section.output_stride is None
