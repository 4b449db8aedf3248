"""Weights: every accepted kind of file gives the backbone's state dict, every other one a clear refusal."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest
import torch
import torchvision

from wsss.models.backbones import build_backbone
from wsss.models.classifier import build_classifier
from wsss.models.initial_weights import resolve_weights
from wsss.study import config

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


@pytest.fixture
def backbone_weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return build_backbone("small", 8).state_dict()


def saved(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def assert_same(found: dict[str, torch.Tensor] | None, expected: dict[str, torch.Tensor]) -> None:
    assert found is not None
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_none_is_none() -> None:
    assert resolve_weights("none", "small") is None


def test_bare_backbone(tmp_path: Path, backbone_weights: dict[str, torch.Tensor]) -> None:
    assert_same(resolve_weights(saved(tmp_path / "w.pth", backbone_weights), "small"), backbone_weights)


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_checkpoint_of_a_network(tmp_path: Path, backbone_weights: dict[str, torch.Tensor], key: str) -> None:
    network = build_classifier(config.Classifier(), 3, backbone_weights)
    path = saved(tmp_path / "checkpoint.pt", {key: network.state_dict(), "epoch": 3})
    assert_same(resolve_weights(path, "small"), backbone_weights)


def test_checkpoint_of_a_parallel_network(tmp_path: Path, backbone_weights: dict[str, torch.Tensor]) -> None:
    state = {f"module.{key}": value for key, value in backbone_weights.items()}
    assert_same(resolve_weights(saved(tmp_path / "w.pth", state), "small"), backbone_weights)


def test_published_classifier_without_its_head(tmp_path: Path) -> None:
    state = build_classifier(config.Classifier(backbone="vgg16"), 2).state_dict()
    found = resolve_weights(saved(tmp_path / "vgg16_cls.pth", state), "vgg16")
    assert_same(found, {key: value for key, value in state.items() if key != "fc8.weight"})


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_torchvision_file_without_its_head(tmp_path: Path, name: str) -> None:
    state = getattr(torchvision.models, name)(weights=None).state_dict()
    found = resolve_weights(saved(tmp_path / "w.pth", state), name)
    assert_same(
        found, {key: value for key, value in state.items() if not key.startswith(("fc.", "classifier."))}
    )


def test_half_precision_becomes_float32(tmp_path: Path, backbone_weights: dict[str, torch.Tensor]) -> None:
    half = {key: value.half() if value.ndim == 4 else value for key, value in backbone_weights.items()}
    found = resolve_weights(saved(tmp_path / "w.pth", half), "small")
    assert_same(found, {key: value.float() if value.ndim == 4 else value for key, value in half.items()})
    assert {value.dtype for value in found.values()} == {torch.float32, torch.int64}


def test_missing_counters_are_forgiven(tmp_path: Path, backbone_weights: dict[str, torch.Tensor]) -> None:
    old = {key: value for key, value in backbone_weights.items() if "num_batches" not in key}
    path = saved(tmp_path / "w.pth", old)
    assert_same(resolve_weights(path, "small"), old)
    build_classifier(config.Classifier(), 3, resolve_weights(path, "small"))


def test_weights_of_another_network_are_refused_with_the_path(
    tmp_path: Path, backbone_weights: dict[str, torch.Tensor]
) -> None:
    path = saved(tmp_path / "w.pth", backbone_weights)
    with pytest.raises(ValueError, match="does not fit resnet18") as caught:
        resolve_weights(path, "resnet18")
    assert path in str(caught.value)
    assert "missing conv1.weight (64, 3, 7, 7)" in str(caught.value)
    assert "unknown stem.0.weight (16, 3, 3, 3)" in str(caught.value)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.pth: no such file"):
        resolve_weights(str(tmp_path / "nowhere.pth"), "small")


def test_truncated_file_is_refused(tmp_path: Path, backbone_weights: dict[str, torch.Tensor]) -> None:
    path = Path(saved(tmp_path / "w.pth", backbone_weights))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"w\.pth: not a readable file of tensors"):
        resolve_weights(str(path), "small")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x02K\x01."])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"w\.pth"):
        resolve_weights(str(path), "small")


class Bomb:
    """An object whose unpickling would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.target)!r}, 'w')",)


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", {"stem.0.weight": Bomb(tmp_path / "ran")})
    with pytest.raises(ValueError, match="not a readable file of tensors"):
        resolve_weights(path, "small")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [[torch.ones(1)], {"stem.0.weight": 3}, {0: torch.ones(1)}])
def test_content_that_is_no_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(ValueError, match="expected a state dict"):
        resolve_weights(saved(tmp_path / "w.pth", content), "small")


def test_imagenet_for_a_backbone_without_any_is_refused() -> None:
    with pytest.raises(ValueError, match="none to download for small"):
        resolve_weights("imagenet", "small")


@pytest.mark.parametrize(
    "error", [urllib.error.URLError("offline"), RuntimeError('invalid hash value (expected "f3")')]
)
def test_failed_download_says_which_file_goes_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise error

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fail)
    with pytest.raises(
        ValueError, match=r"https://download\.pytorch\.org/models/resnet18-f37072fd\.pth"
    ) as caught:
        resolve_weights("imagenet", "resnet18")
    assert str(tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth") in str(caught.value)


def test_imagenet_is_read_from_torchvisions_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    state = torchvision.models.mobilenet_v2(weights=None).state_dict()
    torch.save(state, tmp_path / "hub" / "checkpoints" / "mobilenet_v2-b0353104.pth")
    found = resolve_weights("imagenet", "mobilenet_v2")
    assert_same(found, {key: value for key, value in state.items() if not key.startswith("classifier.")})


def test_shared_mobilenet_weights_fit() -> None:
    path = SHARED / "weights" / "mobilenet_v2-imagenet.pth"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    weights = resolve_weights(str(path), "mobilenet_v2")
    assert weights is not None
    assert weights["features.0.0.weight"].dtype == torch.float32
    build_classifier(config.Classifier(backbone="mobilenet_v2"), 6, weights)
