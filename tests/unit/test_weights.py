"""Weights: every accepted kind of file gives the backbone's state dict, every other one a clear refusal."""

from __future__ import annotations

import argparse
import re
import struct
import urllib.error
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

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
    with pytest.raises(ValueError, match=r"w\.pth: cut short or damaged: the end of the archive is missing"):
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


# Checkpoints of others


@pytest.mark.parametrize(
    "keys",
    [
        ("model_state_dict",), ("net",), ("network",), ("params",), ("model", "state_dict"),
        ("checkpoint", "model"), ("weights", "ema"),
    ],
    ids=".".join,
)  # fmt: skip
def test_state_dicts_within_checkpoints(
    tmp_path: Path, backbone_weights: dict[str, torch.Tensor], keys: tuple[str, ...]
) -> None:
    content: dict[str, object] = dict(backbone_weights)
    for key in reversed(keys):
        content = {"epoch": 3, "best": torch.tensor(0.5), "lr": [0.1], key: content}
    content["optimizer"] = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []}
    assert_same(resolve_weights(saved(tmp_path / "w.pth", content), "small"), backbone_weights)


PREFIXES = (
    "module.", "model.", "resnet50.", "backbone.", "encoder.", "_orig_mod.", "net.encoder.", "module.module.",
    "_orig_mod.module.", "module._orig_mod.backbone.", "model.backbone.resnet.", "student.module.encoder_q.",
    "_forward_module.model.", "base_model.model.encoder.",
)  # fmt: skip


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_prefixes_of_wrappers(
    tmp_path: Path, backbone_weights: dict[str, torch.Tensor], prefix: str, suffix: str
) -> None:
    state = {f"{prefix}{key}": value for key, value in backbone_weights.items()}
    state |= {"head.weight": torch.ones(2), f"{prefix}projector.0.weight": torch.ones(3)}
    path = tmp_path / f"w{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    assert_same(resolve_weights(str(path), "small"), backbone_weights)


def test_wrappers_between_the_words_of_a_name(
    tmp_path: Path, backbone_weights: dict[str, torch.Tensor]
) -> None:
    def wrapped(key: str) -> str:
        first, rest = key.split(".", 1)
        return f"_fsdp_wrapped_module.{first}._checkpoint_wrapped_module._orig_mod.{rest}"

    state = {wrapped(key): value for key, value in backbone_weights.items()}
    assert_same(resolve_weights(saved(tmp_path / "w.pth", state), "small"), backbone_weights)


def test_of_a_student_and_a_teacher_the_teacher_is_taken(
    tmp_path: Path, backbone_weights: dict[str, torch.Tensor]
) -> None:
    other = {key: value + 1 for key, value in backbone_weights.items()}
    content = {"student": other, "teacher": {f"backbone.{k}": v for k, v in backbone_weights.items()}}
    assert_same(resolve_weights(saved(tmp_path / "w.pth", content), "small"), backbone_weights)


@pytest.mark.parametrize("before", ["", "0.", "encoder."])
def test_parts_that_sequential_numbers(tmp_path: Path, before: str) -> None:
    network = torchvision.models.resnet18(weights=None)
    numbered = torch.nn.Sequential(*list(network.children())[:-1])
    state = {f"{before}{key}": value for key, value in numbered.state_dict().items()}
    expected = {key: value for key, value in network.state_dict().items() if not key.startswith("fc.")}
    assert_same(resolve_weights(saved(tmp_path / "w.pth", state), "resnet18"), expected)


def test_a_deeper_network_of_the_same_kind_does_not_fit(tmp_path: Path) -> None:
    state = {f"model.{key}": value for key, value in torchvision.models.resnet101().state_dict().items()}
    with pytest.raises(ValueError, match="does not fit resnet50") as caught:
        resolve_weights(saved(tmp_path / "w.pth", state), "resnet50")
    said = str(caught.value)
    assert "unknown layer3.6.conv1.weight (256, 1024, 1, 1)" in said
    assert "the prefix 'model.' comes nearest" in said
    assert len(said.splitlines()) <= 10


def test_where_nothing_fits_some_of_the_keys_are_named(
    tmp_path: Path, backbone_weights: dict[str, torch.Tensor]
) -> None:
    state = {f"visual.{number}.attention": torch.ones(2, 2) for number in range(500)}
    with pytest.raises(ValueError, match="does not fit small") as caught:
        resolve_weights(saved(tmp_path / "w.pth", state), "small")
    examples = "visual.0.attention, visual.1.attention"
    expected = f"found 500 entries such as {examples}, none of the {len(backbone_weights)} needed"
    assert expected in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 10


def test_options_beside_the_tensors_do_not_matter(
    tmp_path: Path, backbone_weights: dict[str, torch.Tensor]
) -> None:
    content = {
        "state_dict": {f"model.{key}": value for key, value in backbone_weights.items()},
        "hyper_parameters": argparse.Namespace(lr=0.1, name="x"),
        "best_score": np.float64(0.5),
        "step": np.int64(3),
        "pytorch-lightning_version": "2.0",
    }
    assert_same(resolve_weights(saved(tmp_path / "w.ckpt", content), "small"), backbone_weights)


def test_a_whole_network_is_refused_in_one_line(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pth", {"model": torch.nn.Linear(2, 2)})
    with pytest.raises(ValueError, match=r"w\.pth") as caught:
        resolve_weights(path, "small")
    assert str(caught.value) == (
        f"weights: {path}: not a readable file of tensors: it holds an object of "
        "torch.nn.modules.linear.Linear; save the network's `state_dict()` alone"
    )


@pytest.mark.parametrize("error", [IndexError, TypeError, struct.error, AttributeError, MemoryError])
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_any_error_of_a_library_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception], name: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    damaged = {"w.pth": b"damaged", "w.safetensors": (4).to_bytes(8, "little") + b"{   "}
    (tmp_path / name).write_bytes(damaged[name])
    monkeypatch.setattr("torch.load", fail)
    monkeypatch.setattr("wsss.models.weights.safetensors.load_file", fail)
    with pytest.raises(ValueError, match=rf"^weights: .*{name}: not a readable "):
        resolve_weights(str(tmp_path / name), "small")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"<!DOCTYPE html><html>", "a web page, expected weights: its download has failed"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git has left a pointer here, expected weights: "),
    ],
)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".params", ".caffemodel"])
def test_what_has_only_the_name_of_weights(tmp_path: Path, content: bytes, reason: str, suffix: str) -> None:
    (tmp_path / f"w{suffix}").write_bytes(content)
    with pytest.raises(ValueError, match=rf"w{re.escape(suffix)}: {re.escape(reason)}"):
        resolve_weights(str(tmp_path / f"w{suffix}"), "small")


def test_safetensors_are_read_by_any_name(tmp_path: Path, backbone_weights: dict[str, torch.Tensor]) -> None:
    save_file(backbone_weights, tmp_path / "w.pth")
    found = resolve_weights(str(tmp_path / "w.pth"), "small")
    assert found is not None
    assert all(torch.equal(found[key], value) for key, value in backbone_weights.items())


def test_tensors_of_pytorchs_are_no_safetensors(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match=r"no safetensors file; PyTorch's own are called `\.pth`"):
        resolve_weights(str(tmp_path / "w.safetensors"), "small")


def test_arrays_of_numpys_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match=r"w\.npz: arrays of numpy's, expected tensors"):
        resolve_weights(str(tmp_path / "w.npz"), "small")


def test_a_torchscript_program_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:
        archive.writestr("w/constants.pkl", b"")
    with pytest.raises(ValueError, match=r"w\.pt: a TorchScript program, expected tensors"):
        resolve_weights(str(tmp_path / "w.pt"), "small")


def test_values_that_are_no_numbers_are_refused(
    tmp_path: Path, backbone_weights: dict[str, torch.Tensor]
) -> None:
    name = next(key for key, value in backbone_weights.items() if value.is_floating_point())
    spoilt = backbone_weights | {name: backbone_weights[name] * float("nan")}
    with pytest.raises(ValueError, match=rf"{re.escape(name)} has values that are no numbers"):
        resolve_weights(saved(tmp_path / "w.pth", spoilt), "small")


def test_of_several_networks_the_log_says_which_is_used(
    tmp_path: Path, backbone_weights: dict[str, torch.Tensor], caplog: pytest.LogCaptureFixture
) -> None:
    resolve_weights(
        saved(tmp_path / "w.pth", {"model_ema": backbone_weights, "model": backbone_weights}), "small"
    )
    assert "holds several networks: model is used, model_ema not" in caplog.text


DAMAGED = (
    b"\x80\x02.", b"\x80\x02K\x01\x86.", b"\x80\x02}q\x00(X\x01\x00\x00\x00au.", b"PK\x03\x04" + bytes(40),
    b"\x12\x01" + bytes(62), b"\xff" * 64,
)  # fmt: skip


@pytest.mark.parametrize("data", DAMAGED)
@pytest.mark.parametrize("suffix", [".pth", ".bin", ".safetensors", ".params", ".caffemodel"])
def test_damaged_bytes_of_every_kind(tmp_path: Path, data: bytes, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    path.write_bytes(data)
    backbone = {".params": "resnet38", ".caffemodel": "vgg16"}.get(suffix, "small")
    with pytest.raises(ValueError, match=rf"w{re.escape(suffix)}"):
        resolve_weights(str(path), backbone)
