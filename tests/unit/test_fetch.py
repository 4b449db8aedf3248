"""Weights that are downloaded before machines without a network need them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from typer.testing import CliRunner, Result

from wsss.__main__ import app
from wsss.planning.start import begin_run, downloaded_backbones
from wsss.study.config import Study


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a configuration, and empty caches of weights."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("{}")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torchvision's weights come from: a folder, by `file://`, with those of ResNet18."""
    (folder / "server").mkdir()
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), "new.pth")
    digest = hashlib.sha256(Path("new.pth").read_bytes()).hexdigest()[:8]
    file = Path("new.pth").rename(folder / "server" / f"resnet18-{digest}.pth")
    monkeypatch.setattr(torchvision.models.WeightsEnum, "url", property(lambda weights: file.as_uri()))
    return file


def fetch(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["weights", "fetch", *arguments])


def study(**sections: Any) -> Study:
    return Study.model_validate(sections)


RESNET = {"backbone": "resnet18", "weights": "imagenet"}


def test_a_study_fetches_what_its_networks_start_from(folder: Path, server: Path) -> None:
    Path("study.yaml").write_text(f"segmenter: {RESNET}\n")
    result = fetch()
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "resnet18: its ImageNet weights are here"
    cached = folder / "torch" / "hub" / "checkpoints" / server.name
    assert cached.read_bytes() == server.read_bytes()
    server.unlink()
    assert fetch("--backbone", "resnet18").exit_code == 0  # now without the server


def test_a_file_that_arrives_torn_is_refused(folder: Path, server: Path) -> None:
    server.write_bytes(server.read_bytes()[:-100])
    result = fetch("--backbone", "resnet18")
    assert result.exit_code == 1
    assert result.stderr.startswith("weights: imagenet: cannot get file://")
    assert "invalid hash value" in result.stderr
    assert not list((folder / "torch" / "hub" / "checkpoints").glob("*.pth"))


def test_without_a_server_it_says_which_file_goes_where(folder: Path, server: Path) -> None:
    server.unlink()
    result = fetch("--backbone", "resnet18")
    assert result.exit_code == 1
    assert f"put it at {folder / 'torch' / 'hub' / 'checkpoints' / server.name}" in result.stderr


def test_timms_weights_are_fetched_from_the_hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def download(repository: str, file: str) -> str:
        asked.append((repository, file))
        save_file(timm.create_model("mobilenetv3_small_100").state_dict(), folder / file)
        return str(folder / file)

    monkeypatch.setattr("wsss.models.backbones.timm.hf_hub_download", download)
    result = fetch("--backbone", "timm/mobilenetv3_small_100")
    assert result.exit_code == 0, result.output
    assert asked == [("timm/mobilenetv3_small_100.lamb_in1k", "model.safetensors")]


def test_a_study_without_any_says_so() -> None:
    assert fetch().stdout == "No network of the study starts from weights that are downloaded.\n"


def test_an_unknown_backbone_is_refused() -> None:
    result = fetch("--backbone", "resnet81")
    assert result.exit_code == 2
    assert "resnet81: there is no such backbone, did you mean 'resnet38'?" in result.stderr


def test_only_networks_that_start_from_imagenet_download() -> None:
    assert downloaded_backbones(study()) == []
    starting = {"classifier": RESNET, "affinitynet": {"backbone": "resnet18", "weights": "classifier"}}
    assert downloaded_backbones(study(**starting, segmenter=RESNET)) == ["resnet18"]
    other = {**RESNET, "backbone": "mobilenet_v2"}
    assert downloaded_backbones(study(**starting, segmenter=other)) == ["resnet18", "mobilenet_v2"]


def test_a_later_round_may_have_a_backbone_of_its_own() -> None:
    later = study(rounds={"count": 2, "later": {"segmenter": RESNET}})
    assert downloaded_backbones(later) == ["resnet18"]


# At the start of a run on a cluster


def test_a_run_elsewhere_begins_with_the_weights(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Another process fetches, as it does in a run: it finds them in torchvision's cache."""
    cached = folder / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    cached.parent.mkdir(parents=True)
    torch.save(torchvision.models.resnet18(weights=None).state_dict(), cached)
    begin_run(study(segmenter=RESNET), elsewhere=True)
    assert "resnet18: its ImageNet weights are here" in capfd.readouterr().out


def test_a_run_elsewhere_ends_before_its_first_job_without_them(folder: Path) -> None:
    cached = folder / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"torn")
    with pytest.raises(
        SystemExit, match=r"^weights: .*resnet18-f37072fd\.pth: not a readable.*downloaded again$"
    ):
        begin_run(study(segmenter=RESNET), elsewhere=True)


@pytest.mark.parametrize(("elsewhere", "trained"), [(False, False), (True, True)])
def test_weights_that_no_job_elsewhere_needs_are_left_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool, trained: bool
) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("fetched"))
    network = study(segmenter=RESNET)
    if trained:
        Path(network.folder, "segmenter").mkdir(parents=True)
        Path(network.folder, "segmenter", "checkpoint.pt").touch()
    begin_run(network, elsewhere=elsewhere)
