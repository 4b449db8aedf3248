"""IRNet: on every backbone, what it learns from confident pairs, and the affinities that it gives."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.unit.conftest import Pictures
from wsss.data import Manifest, read_image
from wsss.data.transforms import normalised, scaled
from wsss.method.affinity import affinity_leak, boundary_stencil
from wsss.method.confident import grid_labels
from wsss.models.classifier import restore_classifier
from wsss.models.irnet import IRNet, build_irnet, on_grid, restore_irnet
from wsss.results import AffinityGrid, ArtifactError, read_history
from wsss.results.checkpoints import load_checkpoint
from wsss.runtime.compute import Compute
from wsss.stages import affinities as affinity_kinds
from wsss.stages.affinities.irn import compute_affinities
from wsss.stages.classifier import train_classifier
from wsss.stages.inference.features import compute_features
from wsss.stages.irnet import train_irnet
from wsss.stages.training.resume import ResumePoint, resume_path
from wsss.stages.training.run import Run
from wsss.study import config
from wsss.study.code_digest import ROOT, code_digest
from wsss.study.config import OnImages, Sgd
from wsss.study.params import ComputeAffinities
from wsss.study.registry import backbone_facts, backbone_names

CPU = Compute(torch.device("cpu"), "float32")
SGD = Sgd(learning_rate=0.02, head_lr_multiplier=5)
IRNET = config.IRNet(
    epochs=20,
    batch_size=4,
    crop_size=80,
    input_scale=4.0,
    radius=3,
    displacement=True,
    train_on=config.OnFeatures(kind="features"),
    optimizer=SGD,
)
TERMS = ("background", "foreground", "different", "displacement_foreground", "displacement_background")


def run_in(folder: Path, **changes: Any) -> Run:
    folder.mkdir(parents=True, exist_ok=True)
    return Run(folder / "checkpoint.pt", folder / "history.tsv", ("red", "blue"), 0, CPU, **changes)


@pytest.fixture(scope="module")
def classifier(pictures: Pictures, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = run_in(tmp_path_factory.mktemp("classifier"))
    section = config.Classifier(epochs=6, batch_size=4, crop_size=32, optimizer=SGD)
    train_classifier(pictures.rows, section, run)
    return run.checkpoint


@pytest.fixture(scope="module")
def trained(pictures: Pictures, classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = run_in(tmp_path_factory.mktemp("irnet"))
    train_irnet(pictures.rows, pictures.masks, IRNET, run, classifier=classifier)
    return run


# The network


@pytest.mark.parametrize("name", [*backbone_names(), "timm/resnet10t"])
@pytest.mark.parametrize("displacement", [True, False])
def test_every_backbone_gives_a_boundary_on_the_grid(name: str, displacement: bool) -> None:
    stride = 8 if 8 in backbone_facts(name).output_strides else None
    section = config.IRNet(
        backbone=name, weights="none", output_stride=stride, displacement=displacement,
        train_on=OnImages(batch_norm="trained"),
    )  # fmt: skip
    with torch.device("meta"):  # shapes alone
        network = build_irnet(section).eval()
        features = network.features(torch.empty(2, 3, 75, 61))
        assert [tuple(feature.shape) for feature in features] == [(2, c, 10, 8) for c in network.widths]
        assert len(features) >= 3
        assert network.boundary_logits(features).shape == (2, 10, 8)
        moved = network.displacements(features)
    assert (moved is not None) == displacement
    assert moved is None or moved.shape == (2, 2, 10, 8)


def test_finer_features_are_averaged_over_a_cell_and_coarser_ones_resized() -> None:
    feature = torch.arange(64.0).view(1, 1, 8, 8)
    assert on_grid(feature, (2, 2)).flatten().tolist() == [
        feature[0, 0, y : y + 4, x : x + 4].mean().item() for y in (0, 4) for x in (0, 4)
    ]
    assert on_grid(feature, (8, 8)) is feature
    coarse = on_grid(feature, (12, 12))[0, 0]
    assert coarse[0, 0] == 0
    assert coarse.diff(dim=1).min() >= 0
    assert coarse.mean().item() == pytest.approx(feature.mean().item())


def test_a_checkpoint_of_another_network_is_refused(classifier: Path) -> None:
    with pytest.raises(ArtifactError, match="holds Classifier, expected IRNet"):
        restore_irnet(classifier)


@pytest.mark.parametrize(("rule", "other"), [("train_irnet", "affinitynet"), ("train_affinitynet", "irnet")])
def test_neither_training_depends_on_the_other_network(rule: str, other: str) -> None:
    code = code_digest(ROOT / "workflow_scripts" / f"{rule}.py")
    own = rule.removeprefix("train_")
    assert {f"wsss.models.{own}", f"wsss.stages.{own}", "wsss.stages.training.pairs"} <= code.keys()
    assert not [
        name for name in code if name.endswith((f".{other}", ".affinities.network", ".affinities.irn"))
    ]


# The training


def test_on_features_it_learns_boundaries_above_a_frozen_backbone(
    pictures: Pictures, trained: Run, classifier: Path
) -> None:
    history = read_history(trained.history)
    boundary = history["background"] / 4 + history["foreground"] / 4 + history["different"] / 2
    assert boundary[-1] < 0.7 * boundary[0]
    fields = history["displacement_foreground"] / 2 + history["displacement_background"] / 2
    assert fields[-1] < 0.9 * fields[0]
    np.testing.assert_allclose(history["loss"], boundary + fields, rtol=1e-4)
    before, after = restore_classifier(classifier).network, restore_irnet(trained.checkpoint).network
    states = before.backbone.state_dict(), after.backbone.state_dict()
    assert all(map(torch.equal, states[0].values(), states[1].values()))
    assert sorted(path.name for path in trained.checkpoint.parent.iterdir()) == [
        "checkpoint.pt",
        "history.tsv",
    ]


def test_affinities_across_true_borders_are_lower(pictures: Pictures, trained: Run) -> None:
    network = restore_irnet(trained.checkpoint).network
    grid = AffinityGrid(radius=3, input_scale=4.0, border="full")
    equal, different = [], []
    for name, stencil, boundary in compute_affinities(network, pictures.rows, grid, flip=True, compute=CPU):
        labels = grid_labels(
            torch.from_numpy(pictures.masks[name].repeat(4, 0).repeat(4, 1)), 8, ignore_votes=False
        )
        assert stencil.shape[1:] == boundary.shape == tuple(labels.shape)
        leaks = affinity_leak(torch.from_numpy(stencil), labels, beta=1, radius=3)
        equal.append(leaks[0])
        different.append(leaks[1])
    assert np.mean(different) < 0.5 * np.mean(equal)


def test_without_the_displacement_the_boundary_is_the_same_above_a_frozen_backbone(
    pictures: Pictures, classifier: Path, trained: Run, tmp_path: Path
) -> None:
    section = IRNET.model_copy(update={"displacement": False})
    train_irnet(pictures.rows, pictures.masks, section, run := run_in(tmp_path), classifier=classifier)
    one, other = (restore_irnet(each.checkpoint).network for each in (trained, run))
    states = one.boundary.state_dict(), other.boundary.state_dict()
    assert all(map(torch.equal, states[0].values(), states[1].values()))
    history = read_history(run.history)
    assert set(TERMS) & set(history) == set(TERMS[:3])
    terms = history["background"] / 4 + history["foreground"] / 4 + history["different"] / 2
    np.testing.assert_allclose(history["loss"], terms, rtol=1e-4)
    assert not any(name.startswith("displacement") for name in load_checkpoint(run.checkpoint)["state_dict"])


def test_on_images_the_backbone_learns_too(pictures: Pictures, classifier: Path, tmp_path: Path) -> None:
    section = IRNET.model_copy(
        update={"train_on": OnImages(frozen_stages=2), "epochs": 1.0, "input_scale": 1.0}
    )
    train_irnet(pictures.rows, pictures.masks, section, run := run_in(tmp_path), classifier=classifier)
    before = restore_classifier(classifier).network.backbone
    after = restore_irnet(run.checkpoint).network.backbone
    changed = [
        not all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))
        for one, other in ((before.stem, after.stem), (before.early, after.early), (before.last, after.last))
    ]
    assert changed == [False, False, True]


class Killed(Exception):
    """Stands in for SIGKILL."""


def test_an_interrupted_training_ends_with_the_same_checkpoint(
    pictures: Pictures, classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = IRNET.model_copy(update={"epochs": 4.0})
    train_irnet(
        pictures.rows, pictures.masks, section, whole := run_in(tmp_path / "a"), classifier=classifier
    )
    folder = tmp_path / "b"
    state = resume_path(folder / "checkpoint.pt", section.model_dump())
    broken = run_in(folder, resume=ResumePoint(state, interval=0))
    remaining = iter(range(8))
    logits = IRNet.boundary_logits

    def logits_until_killed(network: IRNet, features: Any) -> torch.Tensor:
        if next(remaining, None) is None:
            raise Killed
        return logits(network, features)

    with monkeypatch.context() as patch:
        patch.setattr(IRNet, "boundary_logits", logits_until_killed)
        with pytest.raises(Killed):
            train_irnet(pictures.rows, pictures.masks, section, broken, classifier=classifier)
    assert broken.resume.states
    assert not broken.checkpoint.exists()
    train_irnet(pictures.rows, pictures.masks, section, broken, classifier=classifier)
    assert broken.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
    assert not state.parent.exists()


def test_without_pairs_the_error_names_the_network(
    pictures: Pictures, classifier: Path, tmp_path: Path
) -> None:
    undecided = {name: np.full_like(mask, 255) for name, mask in pictures.masks.items()}
    with pytest.raises(ValueError, match="IRNet: the confident regions of all 12 images hold no pair"):
        train_irnet(pictures.rows, undecided, IRNET, run_in(tmp_path), classifier=classifier)


# The affinities


@pytest.mark.parametrize("flip", [False, True])
def test_the_boundary_is_averaged_with_the_mirror_image_before_the_sigmoid(
    pictures: Pictures, trained: Run, flip: bool
) -> None:
    network, row = restore_irnet(trained.checkpoint).network, pictures.rows[0]
    grid = AffinityGrid(radius=4, input_scale=1.0, border="full")
    ((name, stencil, boundary),) = compute_affinities(network, [row], grid, flip=flip, compute=CPU)
    image = normalised(scaled(read_image(row.image), 1.0), network.backbone.normalization)[None]
    with torch.no_grad():
        logits = network(image)
        mirrored = network(image.flip(-1)).flip(-1)
    expected = ((logits + mirrored) / 2 if flip else logits).sigmoid()[0]
    assert (name, boundary.dtype, stencil.dtype) == (row.id, np.float16, np.float16)
    np.testing.assert_allclose(boundary, expected, atol=1e-3)
    np.testing.assert_allclose(stencil, boundary_stencil(expected, 4), atol=2e-3)


def test_stored_features_give_the_same_boundary(pictures: Pictures, trained: Run) -> None:
    network = restore_irnet(trained.checkpoint).network
    grid = AffinityGrid(radius=5, input_scale=2.0, border="full")
    rows = pictures.rows[:3]
    found = {
        name: boundary
        for name, _, boundary in compute_affinities(network, rows, grid, flip=False, compute=CPU)
    }
    for name, maps in compute_features(network, rows, input_scale=2.0, compute=CPU):
        features = torch.from_numpy(maps).permute(2, 0, 1)[None].split(list(network.widths), dim=1)
        with torch.no_grad():
            boundary = network.boundary_logits(features).sigmoid()[0]
        np.testing.assert_allclose(boundary, found[name], atol=1e-2)


def test_affinities_of_the_checkpoint_are_on_its_grid(pictures: Pictures, trained: Run) -> None:
    section = config.IrnAffinities(kind="irn", radius=4)
    job = SimpleNamespace(
        params=ComputeAffinities(precision="float32", affinities=section),
        input=SimpleNamespace(checkpoint=trained.checkpoint, images="images.tsv"),
        threads=1,
        compute=CPU,
    )
    rows = tuple(pictures.rows[:2])
    grid, items = affinity_kinds.compute_affinities(job, Manifest(("red", "blue"), rows))
    assert grid == AffinityGrid(4, 4.0, "full")
    found = {name: (stencil, boundary) for name, stencil, boundary in items}
    assert found.keys() == {row.id for row in rows}
    for row in rows:
        stencil, boundary = found[row.id]
        assert stencil.shape[1:] == boundary.shape == (-(-row.height * 4 // 8), -(-row.width * 4 // 8))
