"""Features of a frozen backbone: computed once while a run lasts, and the same for whoever needs them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.conftest import Pictures
from wsss.models.affinitynet import AffinityNet, build_affinitynet, restore_affinitynet
from wsss.models.classifier import build_classifier
from wsss.models.irnet import IRNet, build_irnet
from wsss.results import AffinityGrid, ArtifactError, read_features, write_features, write_masks
from wsss.results.checkpoints import save_checkpoint
from wsss.runtime.compute import Compute
from wsss.stages import features as module
from wsss.stages.affinities import irn
from wsss.stages.affinities import network as of_network
from wsss.stages.affinitynet import train_affinitynet
from wsss.stages.features import FeatureFolder, folder_for, identity, kept_for
from wsss.stages.inference.features import compute_features
from wsss.stages.training.run import Run
from wsss.study import config
from wsss.study.features import features_folder, forget_features

CPU = Compute(torch.device("cpu"), "float32")
ON_FEATURES = config.OnFeatures(kind="features")
SECTION = config.AffinityNet(
    train_on=ON_FEATURES, epochs=2, batch_size=4, crop_size=80, input_scale=2.0, optimizer=config.Sgd()
)
IRNET = config.IRNet(train_on=ON_FEATURES, input_scale=2.0)


@pytest.fixture(scope="module")
def affinitynet() -> AffinityNet:
    torch.manual_seed(0)
    return CPU.place(build_affinitynet(SECTION)).eval()


@pytest.fixture
def folder(tmp_path: Path, affinitynet: AffinityNet) -> FeatureFolder:
    return FeatureFolder(tmp_path, affinitynet, SECTION, CPU)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the images whose features were computed."""
    seen: list[str] = []

    def noted(network: Any, rows: Any, **how: Any) -> Any:
        seen.extend(row.id for row in rows)
        return compute_features(network, rows, **how)

    monkeypatch.setattr(module, "compute_features", noted)
    return seen


def test_each_image_is_computed_once(pictures: Pictures, folder: FeatureFolder, computed: list[str]) -> None:
    folder.complete(pictures.rows[:4])
    folder.complete(pictures.rows[2:6])
    folder.complete(pictures.rows[:6])
    assert sorted(computed) == sorted(row.id for row in pictures.rows[:6])
    expected = dict(compute_features(folder.network, pictures.rows, input_scale=2.0, compute=CPU))
    with folder.opened() as known:
        assert list(known) == sorted(row.id for row in pictures.rows[:6])
        for image_id, values in known.items():
            np.testing.assert_allclose(values.astype(np.float32), expected[image_id], rtol=2e-3, atol=1e-4)


def test_what_is_not_there_is_computed_in_the_same_order(
    pictures: Pictures, folder: FeatureFolder, computed: list[str]
) -> None:
    before = [(image_id, values.shape) for image_id, values in folder.of(pictures.rows)]
    assert not folder.path.exists()
    folder.complete(pictures.rows[3:9:2])
    computed.clear()
    after = [(image_id, values.shape) for image_id, values in folder.of(pictures.rows)]
    assert after == before
    assert len(computed) == len(pictures.rows) - 3
    assert before[0][1] == (9, 11, sum(folder.network.widths))  # cells of 36 x 44 pixels, twice as large


def test_other_networks_and_ways_to_compute_have_folders_of_their_own(affinitynet: AffinityNet) -> None:
    def moved() -> AffinityNet:
        torch.manual_seed(1)
        return build_affinitynet(SECTION)

    again = build_affinitynet(SECTION)
    again.load_state_dict(affinitynet.state_dict())
    head = build_affinitynet(SECTION)
    head.backbone.load_state_dict(affinitynet.backbone.state_dict())
    own = identity(affinitynet, SECTION, CPU)
    assert identity(again, SECTION, CPU) == own
    assert identity(head, SECTION.model_copy(update={"epochs": 9.0}), CPU) == own  # layers above do not count
    others = [
        identity(moved(), SECTION, CPU),
        identity(affinitynet, SECTION.model_copy(update={"input_scale": 1.0}), CPU),
        identity(affinitynet, SECTION.model_copy(update={"output_stride": 16}), CPU),
        identity(affinitynet, SECTION, replace(CPU, precision="bfloat16")),
        identity(affinitynet, SECTION, replace(CPU, deterministic=True)),
        identity(build_irnet(IRNET), IRNET, CPU),
    ]
    assert len({own, *others}) == 1 + len(others)


@pytest.mark.parametrize("kept", [True, False])
def test_affinities_of_features_are_those_of_images(
    kept: bool, pictures: Pictures, folder: FeatureFolder
) -> None:
    rows, model = pictures.rows, folder.network
    assert isinstance(model, AffinityNet)
    if kept:
        folder.complete(rows)
    expected = dict(of_network.compute_affinities(model, rows, input_scale=2.0, flip=False, compute=CPU))
    found = dict(of_network.affinities_of_features(model, rows, folder))
    assert list(found) == list(expected)
    for image_id, stencil in found.items():
        assert stencil.dtype == np.float16
        np.testing.assert_allclose(stencil, expected[image_id], atol=5e-3)


def test_boundaries_of_features_are_those_of_images(pictures: Pictures, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model: IRNet = CPU.place(build_irnet(IRNET)).eval()
    folder, grid = FeatureFolder(tmp_path, model, IRNET, CPU), AffinityGrid(5, 2.0, "full")
    folder.complete(pictures.rows[:5])
    expected = list(irn.compute_affinities(model, pictures.rows, grid, flip=False, compute=CPU))
    found = list(irn.affinities_of_features(model, pictures.rows, grid, folder))
    for (name, stencil, boundary), (other, like, line) in zip(found, expected, strict=True):
        assert (name, stencil.dtype, boundary.dtype) == (other, np.float16, np.float16)
        np.testing.assert_allclose(stencil, like, atol=5e-3)
        np.testing.assert_allclose(boundary, line, atol=5e-3)


def test_only_what_was_trained_on_features_is_computed_from_them(affinitynet: AffinityNet) -> None:
    table = "results/tiny/dataset/train/00.tsv"
    assert kept_for(table, affinitynet, SECTION, CPU).path.parent == Path("results/tiny/features")
    on_images = SECTION.model_copy(update={"train_on": config.OnImages()})
    assert kept_for(table, affinitynet, on_images, CPU) is None
    assert kept_for("elsewhere.tsv", affinitynet, SECTION, CPU) is None


def trained(pictures: Pictures, classifier: Path, folder: Path, kept: Path | None, seed: int = 0) -> Run:
    folder.mkdir()
    run = Run(folder / "checkpoint.pt", folder / "history.tsv", ("red", "blue"), seed, CPU, features=kept)
    train_affinitynet(pictures.rows, pictures.masks, SECTION, run, classifier=classifier)
    return run


def test_a_training_keeps_them_for_affinities_and_for_the_next_round(
    pictures: Pictures, tmp_path: Path, computed: list[str]
) -> None:
    classifier = tmp_path / "classifier.pt"
    torch.manual_seed(0)
    save_checkpoint(classifier, build_classifier(config.Classifier(), 2).state_dict())
    alone = trained(pictures, classifier, tmp_path / "alone", None)
    assert sorted(path.name for path in alone.checkpoint.parent.iterdir()) == ["checkpoint.pt", "history.tsv"]
    assert len(computed) == 12

    kept = tmp_path / "features"
    first = trained(pictures, classifier, tmp_path / "first", kept)
    assert len(computed) == 24
    assert first.checkpoint.read_bytes() == alone.checkpoint.read_bytes()
    trained(pictures, classifier, tmp_path / "second", kept, seed=1)
    found = restore_affinitynet(first.checkpoint)
    folder = FeatureFolder(kept, CPU.place(found.network), found.section, CPU)
    assert len(list(of_network.affinities_of_features(found.network, pictures.rows, folder))) == 12
    assert len(computed) == 24


def test_features_that_the_disk_cannot_hold_are_refused(
    pictures: Pictures, folder: FeatureFolder, monkeypatch: pytest.MonkeyPatch, computed: list[str]
) -> None:
    usage = shutil.disk_usage(folder.path.parent)._replace(free=10**5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        OSError, match=r"need 0\.\d GB, the disk has 0\.0 GB free.*affinitynet\.train_on: \{kind: images\}"
    ):
        folder.complete(pictures.rows)
    assert not folder.path.exists()
    assert computed == []


def test_a_file_is_whole_or_not_there(pictures: Pictures, folder: FeatureFolder, monkeypatch) -> None:
    def broken(network: Any, rows: Any, **how: Any) -> Any:
        yield from list(compute_features(network, rows, **how))[:2]
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "compute_features", broken)
    with pytest.raises(KeyboardInterrupt):
        folder.complete(pictures.rows)
    assert list(folder.path.iterdir()) == []
    monkeypatch.undo()
    folder.complete(pictures.rows)
    with folder.opened() as known:
        assert len(known) == len(pictures.rows)


def test_files_hold_float16_maps(tmp_path: Path) -> None:
    maps = {f"a/{n}": np.full((2, 3, 4), n, np.float16) for n in range(3)}
    write_features(tmp_path / "00.h5", maps.items())
    with read_features(tmp_path / "00.h5") as found:
        assert list(found) == list(maps)
        for image_id, values in found.items():
            np.testing.assert_array_equal(values, maps[image_id])
    for wrong in (np.zeros((2, 3), np.float16), np.zeros((2, 3, 4), np.float32)):
        with pytest.raises(ArtifactError, match="expected float16 in 3 dimensions"):
            write_features(tmp_path / "01.h5", [("a", wrong)])
    assert [path.name for path in tmp_path.iterdir()] == ["00.h5"]
    write_masks(tmp_path / "masks.h5", [("a", np.zeros((2, 3), np.uint8))])
    with pytest.raises(ArtifactError, match="expected 'wsss features 1'"):
        read_features(tmp_path / "masks.h5")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc, which tells the memory in use")
def test_features_take_no_memory_of_the_process(tmp_path: Path) -> None:
    """Their file has 200 MB, of which a process holds the map that it reads."""

    def resident_mb() -> float:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1000

    values, path = np.ones((100, 100, 200), np.float16), tmp_path / "00.h5"
    before = resident_mb()
    write_features(path, ((f"{index}", values) for index in range(50)))
    with read_features(path) as found:
        assert all((found[f"{index}"] == 1).all() for index in range(50))
        assert resident_mb() - before < 40


def test_a_folder_of_ones_own_goes_with_the_training(tmp_path: Path) -> None:
    with folder_for(None, beside=tmp_path / "checkpoint.pt") as own:
        assert own.parent == tmp_path
        (own / "00.h5").touch()
    with folder_for(tmp_path / "kept", beside=tmp_path / "checkpoint.pt") as kept:
        kept.mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_they_last_as_long_as_a_run(tmp_path: Path) -> None:
    folder = features_folder(tmp_path / "results" / "tiny" / "dataset" / "train.tsv")
    assert folder == tmp_path / "results" / "tiny" / "features"
    (folder / "of a run that was killed").mkdir(parents=True)
    program = f"""
from pathlib import Path
from wsss.study.features import keep_features_for_this_run
keep_features_for_this_run({str(folder.parent)!r})
folder = Path({str(folder)!r})
assert not folder.exists()
(folder / "of this run").mkdir(parents=True)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert list(folder.parent.iterdir()) == []
    forget_features(folder.parent)  # there is nothing
