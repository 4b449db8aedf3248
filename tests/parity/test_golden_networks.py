"""The published networks: exactly their keys, and the published code's outputs on weights drawn per key."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from wsss.method.affinity import half_plane_offsets
from wsss.models.affinitynet import AffinityNet, build_affinitynet
from wsss.models.backbone import Features
from wsss.models.classifier import build_classifier
from wsss.models.initial_weights import load_finished, resolve_weights
from wsss.models.network import Network
from wsss.study import config

HERE = Path(__file__).parent
FEATURES = {
    "resnet38": {"early": "conv4", "middle": "conv5", "last": "conv6"},
    "vgg16": {"early": "conv4", "middle": "conv5", "last": "conv5fc"},
}
NORMALIZATIONS = {"resnet38": "none", "vgg16": "group"}


@pytest.fixture(scope="module", params=FEATURES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def golden(name: str) -> dict[str, np.ndarray]:
    with np.load(HERE / f"{name}.npz", allow_pickle=False) as arrays:
        return dict(arrays)


def build(name: str, kind: str) -> Network:
    """The published classifier ("cls") or AffinityNet ("aff")."""
    if kind == "cls":
        return build_classifier(config.Classifier(backbone=name, dropout=0.5), 20)
    return build_affinitynet(config.AffinityNet(backbone=name, normalization=NORMALIZATIONS[name]))


def draw(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if len(shape) == 4:
        values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    elif key.endswith("running_var"):
        values = rng.uniform(0.5, 1.5, shape)
    elif key.endswith("weight"):
        values = 1 + 0.1 * rng.standard_normal(shape)
    else:
        values = 0.1 * rng.standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


def drawn(network: torch.nn.Module, keys: Iterable[str]) -> dict[str, torch.Tensor]:
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    return {key: draw(key, tuple(shapes[key])) for key in keys}


def matrix_of(stencil: torch.Tensor) -> torch.Tensor:
    """All pairs of a stencil (P, H, W) as a symmetric (H * W, H * W) matrix with ones on its diagonal."""
    _, height, width = stencil.shape
    matrix = torch.eye(height * width)
    for values, (dy, dx) in zip(stencil, half_plane_offsets(5).tolist(), strict=True):
        for y in range(height - dy):
            for x in range(max(0, -dx), min(width, width - dx)):
                upper, lower = y * width + x, (y + dy) * width + x + dx
                matrix[upper, lower] = matrix[lower, upper] = values[y, x]
    return matrix


@pytest.fixture(scope="module")
def outputs(name: str, golden: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """All arrays of the golden file, computed here; the two networks share one backbone to save memory."""
    with torch.device("meta"):
        classifier = build(name, "cls").eval()
    classifier.load_state_dict(drawn(classifier, golden["keys_cls"].tolist()), assign=True)
    backbone = classifier.backbone
    image = backbone.normalization(torch.from_numpy(golden["image"]).permute(2, 0, 1)[None] / 255)
    with torch.inference_mode():
        found = {
            "logits": classifier(image)[0],
            "cam": classifier.cam(image)[0].relu() ** backbone.cam_exponent,
        }
        features = backbone(image)
    net = AffinityNet(backbone, radius=5, border="cropped", normalization=NORMALIZATIONS[name]).eval()
    own = [key for key in golden["keys_aff"].tolist() if key not in golden["keys_cls"]]
    assert not net.load_state_dict(drawn(net, own), strict=False).unexpected_keys
    with torch.inference_mode():
        embedded = net.affinity_features(net.features(image))
        found |= {key: feature[0, ::16] for key, feature in features._asdict().items()}
        found |= {"affinity_features": embedded[0], "affinity_matrix": matrix_of(net.stencil(embedded)[0])}
    return found


def test_state_dicts_have_exactly_the_published_keys(name: str, golden: dict[str, np.ndarray]) -> None:
    with torch.device("meta"):
        for kind in ("cls", "aff"):
            assert list(build(name, kind).state_dict()) == golden[f"keys_{kind}"].tolist()


@pytest.mark.parametrize(
    "array", ["logits", "cam", *Features._fields, "affinity_features", "affinity_matrix"]
)
def test_outputs_are_those_of_the_published_code(
    outputs: dict[str, torch.Tensor], golden: dict[str, np.ndarray], name: str, array: str
) -> None:
    expected = golden[FEATURES[name].get(array, array)]
    found = outputs[array].numpy().astype(expected.dtype).astype(np.float64)
    assert found.shape == expected.shape
    difference = np.linalg.norm(found - expected) / np.linalg.norm(expected.astype(np.float64))
    assert difference <= 1e-5 if expected.dtype == np.float32 else 1e-4


def published_file(path: Path, network: torch.nn.Module, keys: Iterable[str]) -> dict[str, float]:
    """Write a state dict of these keys, one number per entry, and return the numbers."""
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    numbers = {key: 1.0 + number for number, key in enumerate(keys)}
    state = {key: torch.full(shapes[key], value, dtype=torch.float16) for key, value in numbers.items()}
    torch.save(state, path)
    return numbers


@pytest.mark.parametrize("kind", ["cls", "aff"])
def test_published_checkpoints_load_as_finished_networks(
    name: str, kind: str, golden: dict[str, np.ndarray], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = tmp_path / f"{name}_{kind}.pth"
    with torch.device("meta"):
        network = build(name, kind)
    numbers = published_file(path, network, golden[f"keys_{kind}"].tolist())
    load_finished(network.to_empty(device="cpu"), path)
    path.unlink()
    assert f"all {len(numbers)} entries used" in caplog.text
    state = network.state_dict()
    assert state.keys() == numbers.keys()
    assert all((state[key] == number).all() for key, number in numbers.items())


@pytest.mark.parametrize("kind", ["cls", "aff"])
def test_published_checkpoints_start_a_backbone(
    name: str, kind: str, golden: dict[str, np.ndarray], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path, heads = tmp_path / f"{name}_{kind}.pth", ("fc8.", "f8_", "gn8_", "f9.")
    with torch.device("meta"):
        network = build(name, kind)
    numbers = published_file(path, network, golden[f"keys_{kind}"].tolist())
    weights = resolve_weights(str(path), name)
    path.unlink()
    assert weights is not None
    assert {key: value[(0,) * value.ndim].item() for key, value in weights.items()} == {
        key: number for key, number in numbers.items() if not key.startswith(heads)
    }
    unused = ", ".join(key for key in numbers if key.startswith(heads))
    assert f"not used: {unused}" in caplog.text
