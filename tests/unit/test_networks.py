"""Networks: strides, shapes, the à-trous identity, and what freezing keeps."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from wsss.method.affinity import affinity_stencil
from wsss.models.affinitynet import AffinityNet, build_affinitynet
from wsss.models.backbones import build_backbone
from wsss.models.classifier import Classifier, build_classifier
from wsss.models.head import atrous_rates
from wsss.models.normalization import Normalization
from wsss.models.parameters import freeze, parameter_groups
from wsss.models.segmenter import Segmenter, build_segmenter
from wsss.models.state import backbone_state
from wsss.study import config
from wsss.study.config import Sgd

PUBLISHED = ("resnet38", "vgg16")

TORCHVISION = ("mobilenet_v2", "resnet18", "resnet50")
NAMES = ("small", *TORCHVISION)
MOVING = Sgd(learning_rate=0.1, weight_decay=1e-2, head_lr_multiplier=10)
"""Everything that may move does."""


def classifier(backbone: str = "small", **options: object) -> Classifier:
    torch.manual_seed(0)
    section = config.Classifier.model_validate({"backbone": backbone, "dropout": 0.5, **options})
    return build_classifier(section, 4)


def affinitynet(backbone: str = "small", **options: object) -> AffinityNet:
    return build_affinitynet(config.AffinityNet.model_validate({"backbone": backbone, **options}))


def segmenter(backbone: str = "small", head: str = "deeplabv3", **options: object) -> Segmenter:
    section = config.Segmenter.model_validate({"backbone": backbone, "head": head, **options})
    return build_segmenter(section, 3)


def image(height: int = 48, width: int = 64, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def randomize_statistics(model: nn.Module) -> None:
    """Give every batch norm statistics of its own, so that a forgotten one shows."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize("size", [(48, 64), (33, 47)])
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_maps_have_the_documented_strides_and_channels(
    name: str, output_stride: int, size: tuple[int, int]
) -> None:
    backbone = build_backbone(name, output_stride).eval()
    with torch.no_grad():
        maps = list(backbone.pyramid(image(*size)))
        features = backbone(image(*size))
        top = backbone.top(features.last)
    for found, known in zip(maps, backbone.maps, strict=True):
        assert found.shape == (1, known.channels, *(-(-side // known.stride) for side in size))
    assert [known.stride for known in backbone.maps[-3:]] == [8, min(16, output_stride), output_stride]
    assert all(torch.equal(*pair) for pair in zip(maps[-3:], features, strict=True))
    assert tuple(feature.shape[1] for feature in features) == backbone.channels
    assert top.shape == (1, backbone.head_channels, *features.last.shape[-2:])


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("size", [(64, 96), (39, 51)])
def test_dilation_keeps_the_values_on_the_coarse_grid(
    name: str, output_stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    coarse = build_backbone(name, 32).double().eval()
    randomize_statistics(coarse)
    fine = build_backbone(name, output_stride).double().eval()
    fine.load_state_dict(coarse.state_dict())
    with torch.no_grad():
        expected, dense = coarse(image(*size).double()), fine(image(*size).double())
    step = 32 // output_stride
    torch.testing.assert_close(dense.early, expected.early)
    torch.testing.assert_close(dense.middle[..., :: step // 2, :: step // 2], expected.middle)
    torch.testing.assert_close(dense.last[..., ::step, ::step], expected.last)


def test_backbones_know_their_stages(name: str) -> None:
    backbone = build_backbone(name, 16)
    staged = [id(p) for stage in backbone.stages for module in stage for p in module.parameters()]
    assert staged == [id(p) for p in backbone.parameters()]


def test_small_backbone_is_small() -> None:
    assert 100_000 <= sum(p.numel() for p in build_backbone("small", 8).parameters()) <= 200_000


def test_unknown_backbone_and_stride_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no such backbone, did you mean 'resnet18'"):
        build_backbone("resnet19", 8)
    with pytest.raises(ValueError, match=r"no such backbone, allowed mobilenet_v2, .* or timm/<name>"):
        build_backbone("alexnet", 8)
    with pytest.raises(ValueError, match="output_stride: got 4, allowed 8, 16, 32 for small"):
        build_backbone("small", 4)


@pytest.mark.parametrize("published", PUBLISHED)
def test_published_backbones_keep_stride_8(published: str) -> None:
    with torch.device("meta"):
        backbone = build_backbone(published, 8).eval()
        features = backbone(torch.empty(1, 3, 33, 47))
        maps = list(backbone.pyramid(torch.empty(1, 3, 33, 47)))
        staged = [id(p) for stage in backbone.stages for module in stage for p in module.parameters()]
    assert {tuple(feature.shape[-2:]) for feature in features} == {(5, 6)}
    assert tuple(feature.shape[1] for feature in features) == backbone.channels
    assert [(found.shape[1], found.shape[2]) for found in maps] == [
        (known.channels, -(-33 // known.stride)) for known in backbone.maps
    ]
    assert staged == [id(p) for p in backbone.parameters()]
    with pytest.raises(ValueError, match=f"output_stride: got 16, allowed 8 for {published}"):
        build_backbone(published, 16)


def test_published_classifiers_freeze_what_the_paper_freezes() -> None:
    with torch.device("meta"):
        models = {name: classifier(name) for name in PUBLISHED}
    for model in models.values():
        freeze(model, 2, "frozen")
    trained = {
        name: {n.split(".")[1] for n, p in m.named_parameters() if p.requires_grad and "conv" in n}
        for name, m in models.items()
    }
    assert not trained["resnet38"] & {"conv1a", "b2", "b2_1", "b2_2"}
    assert {"b3", "b7"} <= trained["resnet38"]
    assert not any(isinstance(m, nn.BatchNorm2d) and m.training for m in models["resnet38"].train().modules())
    assert sorted(trained["vgg16"])[0] == "conv3_1"


def test_fc6_dilates_with_the_network_it_is_built_into() -> None:
    with torch.device("meta"):
        networks = (
            classifier("vgg16"),
            affinitynet("vgg16"),
            segmenter("vgg16", "largefov"),
        )
        lasts = [network.backbone(torch.empty(1, 3, 24, 40)).last for network in networks]
        logits = networks[2](torch.empty(1, 3, 24, 40))
    assert [network.backbone.fc6.dilation for network in networks] == [(1, 1), (4, 4), (12, 12)]
    assert {tuple(last.shape) for last in lasts} == {(1, 1024, 3, 5)}
    assert logits.shape == (1, 3, 24, 40)


def test_published_checkpoints_load_with_and_without_counters() -> None:
    with torch.device("meta"):
        net = affinitynet("resnet38")
        state = net.state_dict()
        counted = {**state, "bn7.num_batches_tracked": torch.tensor(3)}
        net.load_state_dict(counted, assign=True)
        with pytest.raises(RuntimeError, match=r"b5_1\.conv_branch2a\.weight"):
            net.load_state_dict({key: value for key, value in state.items() if "b5_1.conv" not in key})
    assert "bn7.num_batches_tracked" not in state


def test_networks_on_published_backbones_start_from_each_other() -> None:
    torch.manual_seed(0)
    state = classifier("vgg16").state_dict()
    network = build_segmenter(config.Segmenter(backbone="vgg16", head="largefov"), 3, state)
    for key, value in network.state_dict().items():
        assert key.startswith("head.") or torch.equal(value, state[key])


@pytest.mark.parametrize(("head", "backbone"), [("largefov", "resnet18"), ("resnet38", "small")])
def test_heads_of_one_backbone_are_refused_on_others(head: str, backbone: str) -> None:
    section = config.Segmenter(backbone=backbone).model_copy(update={"head": head})
    with pytest.raises(ValueError, match=f"{head} needs the backbone .*, got {backbone}"):
        build_segmenter(section, 3)


def test_resnet38_segments_with_its_own_head() -> None:
    with torch.device("meta"):
        model = segmenter("resnet38", "resnet38").eval()
        assert model(torch.empty(1, 3, 30, 41)).shape == (1, 3, 30, 41)
    assert {key for key in model.state_dict() if key.startswith("head.")} == {
        "head.0.weight",
        "head.0.bias",
        "head.2.weight",
        "head.2.bias",
    }
    assert model.head[0].dilation == model.head[2].dilation == (12, 12)


def test_normalization_flips_to_bgr_before_it_subtracts() -> None:
    rgb = torch.tensor([1.0, 0.5, 0.0])[:, None, None].expand(3, 2, 2)
    normalized = Normalization((0.1, 0.2, 0.3), (1.0, 2.0, 0.5), bgr=True)(rgb)
    torch.testing.assert_close(normalized[:, 0, 0], torch.tensor([-0.1, 0.15, 1.4]))


def test_logits_are_the_mean_of_the_cam(name: str) -> None:
    model = classifier(name).eval()
    with torch.no_grad():
        logits, cam = model(image(batch=2)), model.cam(image(batch=2))
    assert cam.shape == (2, 4, 6, 8)
    torch.testing.assert_close(logits, cam.mean((-2, -1)), rtol=1e-4, atol=1e-5)


def test_dropout_acts_in_training_only() -> None:
    model = classifier()
    freeze(model, 4, "frozen")
    assert not torch.equal(model.train()(image()), model(image()))
    assert torch.equal(model.eval()(image()), model(image()))


def test_outputs_stay_float32_under_autocast() -> None:
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        channels_last = image().to(memory_format=torch.channels_last)
        assert classifier().eval()(channels_last).dtype == torch.float32
        assert classifier().eval().cam(channels_last).dtype == torch.float32
        assert segmenter().eval()(channels_last).dtype == torch.float32
        net = affinitynet().eval()
        assert net.affinity_features(net.features(channels_last)).dtype == torch.float32


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("normalization", ["none", "group"])
def test_affinitynet_on_any_backbone(name: str, output_stride: int, normalization: str) -> None:
    net = affinitynet(name, output_stride=output_stride, normalization=normalization).eval()
    with torch.no_grad():
        features = net.features(image(45, 61))
        stencil = net(image(45, 61))
        from_features = net.stencil(net.affinity_features(features))
    assert {tuple(feature.shape[-2:]) for feature in features} == {(6, 8)}
    assert stencil.shape == (1, 34, 6, 8)
    assert torch.equal(from_features, stencil)


def test_affinitynet_follows_the_formula() -> None:
    torch.manual_seed(0)
    net = affinitynet(radius=3).eval()
    elu = nn.functional.elu
    with torch.no_grad():
        reduced = [
            elu(nn.functional.group_norm(nn.functional.conv2d(feature, convolution.weight), groups))
            for feature, convolution, groups in zip(
                net.features(image()), (net.f8_3, net.f8_4, net.f8_5), (8, 16, 32), strict=True
            )
        ]
        expected = elu(nn.functional.conv2d(torch.cat(reduced, 1), net.f9.weight))
        torch.testing.assert_close(net(image()), affinity_stencil(expected, radius=3, border="full"))


def test_affinitynet_reads_stored_half_precision_features() -> None:
    net = affinitynet().eval()
    with torch.no_grad():
        features = net.features(image())
        stored = net.affinity_features([feature.half() for feature in features])
        torch.testing.assert_close(stored, net.affinity_features(features), rtol=0.05, atol=0.05)


def test_unknown_normalization_is_refused() -> None:
    with pytest.raises(ValueError, match="'batch', allowed none, group"):
        AffinityNet(build_backbone("small", 8), radius=5, border="full", normalization="batch")


@pytest.mark.parametrize("size", [(48, 64), (33, 47)])
def test_segmenter_gives_logits_at_the_size_of_the_input(name: str, size: tuple[int, int]) -> None:
    model = segmenter(name, output_stride=16, crop_size=112).eval()
    with torch.no_grad():
        assert model(image(*size)).shape == (1, 3, *size)


def test_segmenter_trains_on_a_batch_of_one() -> None:
    model = segmenter(crop_size=64).train()
    pooled = model.head[0].convs[-1][2]
    model(image(batch=1)).mean().backward()
    assert torch.equal(pooled.running_mean, torch.zeros_like(pooled.running_mean))
    model(image(batch=2))
    assert not torch.equal(pooled.running_mean, torch.zeros_like(pooled.running_mean))


@pytest.mark.parametrize(
    ("crop_size", "output_stride", "rates"),
    [(513, 16, [6, 12, 18]), (513, 8, [12, 24, 36]), (16, 16, [1, 1, 1])],
)
def test_atrous_rates_scale_with_the_crop(crop_size: int, output_stride: int, rates: list[int]) -> None:
    assert atrous_rates(crop_size, output_stride) == rates


def step(model: nn.Module, batch: torch.Tensor) -> None:
    """One optimizer step."""
    optimizer = torch.optim.SGD(parameter_groups(model.train(), MOVING), momentum=0.9)
    output = model(batch)
    (output * torch.linspace(-1, 1, output.numel()).view_as(output)).sum().backward()
    optimizer.step()


def moved(model: nn.Module, before: dict[str, torch.Tensor]) -> set[str]:
    return {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}


def names_of(model: nn.Module, modules: list[nn.Module]) -> set[str]:
    known = {id(module): name for name, module in model.named_modules()}
    return {f"{known[id(module)]}.{key}" for module in modules for key in module.state_dict()}


@pytest.mark.parametrize("frozen_stages", [0, 2])
@pytest.mark.parametrize("batch_norm", ["frozen", "trained"])
@pytest.mark.parametrize("backbone", ["small", "mobilenet_v2", "resnet18"])
def test_nothing_frozen_moves_and_all_else_does(backbone: str, frozen_stages: int, batch_norm: str) -> None:
    model = classifier(backbone)
    freeze(model, frozen_stages, batch_norm)
    frozen = [module for stage in model.backbone.stages[:frozen_stages] for module in stage]
    if batch_norm == "frozen":
        frozen += [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    before = copy.deepcopy(model.state_dict())
    step(model, image(batch=2))
    assert moved(model, before) == set(before) - names_of(model, frozen)


def test_a_whole_backbone_can_be_frozen() -> None:
    net = affinitynet("mobilenet_v2", normalization="none")
    freeze(net, len(net.backbone.stages), "trained")
    before = copy.deepcopy(net.state_dict())
    step(net, image(batch=2))
    assert moved(net, before) == {"f8_3.weight", "f8_4.weight", "f8_5.weight", "f9.weight"}


def test_freezing_the_backbone_leaves_the_head_s_batch_norm_trained() -> None:
    model = segmenter(crop_size=64)
    freeze(model, 0, "frozen")
    before = copy.deepcopy(model.state_dict())
    step(model, image(batch=2))
    changed = moved(model, before)
    assert "head.0.convs.0.1.running_mean" in changed
    assert "backbone.last.first.1.running_mean" not in changed


def test_freezing_again_replaces_the_former_choice() -> None:
    model = classifier()
    freeze(model, 4, "frozen")
    assert not any(p.requires_grad for p in model.backbone.parameters())
    freeze(model, 0, "trained")
    assert all(p.requires_grad for p in model.parameters())
    assert all(module.training for module in model.train().modules())


@pytest.mark.parametrize(
    ("stages", "batch_norm", "message"),
    [
        (5, "frozen", "frozen_stages: got 5, allowed 0 … 4"),
        (-1, "frozen", "got -1"),
        (0, "on", "batch_norm: got 'on'"),
    ],
)
def test_impossible_freezing_is_refused(stages: int, batch_norm: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        freeze(classifier(), stages, batch_norm)


@pytest.mark.parametrize("name", ["small", "mobilenet_v2"])
def test_networks_start_from_a_classifiers_state_dict(name: str) -> None:
    state = classifier(name).state_dict()
    for network in (
        build_affinitynet(config.AffinityNet(backbone=name), state),
        build_segmenter(config.Segmenter(backbone=name, output_stride=16), 3, state),
        build_classifier(config.Classifier(backbone=name, output_stride=16), 7, state),
    ):
        for key, value in network.backbone.state_dict().items():
            assert torch.equal(value, state[f"backbone.{key}"])


def test_refitted_weights_are_a_layer_of_their_own() -> None:
    model, plain = classifier(refit=0.5).eval(), classifier().eval()
    assert model.state_dict().keys() - plain.state_dict().keys() == {"refit.weight"}
    assert torch.equal(model.fc8.weight, plain.fc8.weight)
    with torch.no_grad():
        model.refit.weight.copy_(-model.fc8.weight)
        assert torch.equal(model.cam(image(), "refit"), -model.cam(image()))
        assert torch.equal(model(image()), plain(image()))
    with pytest.raises(ValueError, match="no refitted weights: it was trained with `refit: 0`"):
        plain.cam(image(), "refit")
    with_prefix = backbone_state(build_backbone("small", 8), model.state_dict())
    assert with_prefix.keys() == build_backbone("small", 8).state_dict().keys()


def test_backbone_state_drops_torchvision_heads() -> None:
    state = {"layer1.0.conv1.weight": torch.ones(1), "fc.weight": torch.ones(1), "fc6.weight": torch.ones(1)}
    found = backbone_state(build_backbone("resnet18", 8), state)
    assert set(found) == {"layer1.0.conv1.weight", "fc6.weight"}


def test_weights_that_do_not_fit_are_refused_with_their_keys() -> None:
    state = build_backbone("small", 8).state_dict()
    state["stem.0.weight"] = torch.ones(16, 1, 3, 3)
    del state["stem.1.bias"]
    state["extra.weight"] = torch.ones(2)
    with pytest.raises(ValueError, match="do not fit") as caught:
        build_classifier(config.Classifier(), 2, state)
    for line in (
        "missing stem.1.bias (16,)",
        "unknown extra.weight (2,)",
        "stem.0.weight: got (16, 1, 3, 3), expected (16, 3, 3, 3)",
    ):
        assert line in str(caught.value)
