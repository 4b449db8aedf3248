"""A flipped bit in anything that a job reads is noticed before the job works."""

from __future__ import annotations

import json
import logging
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from snakemake.iocontainers import InputFiles, Log, OutputFiles, Params, ResourceList, Wildcards

from wsss.data import DatasetError, ImageRow, Manifest, write_mask
from wsss.method.affinity import half_plane_offsets
from wsss.results import (
    AffinityGrid,
    HistoryWriter,
    ImageConfusion,
    ImageSignals,
    write_affinities,
    write_cams,
    write_confident,
    write_confusions,
    write_json,
    write_masks,
    write_pseudo_masks,
    write_signals,
    write_table,
    write_text,
)
from wsss.results.checkpoints import save_checkpoint
from wsss.stages.dataset import list_drawn
from wsss.stages.job import Job, run
from wsss.stages.masks import export_masks
from wsss.study.config import Study
from wsss.study.integrity import require_whole
from wsss.study.params import Nothing, rule_params
from wsss.study.provenance import DamagedError, file_digest, unsealed

MASK = np.arange(120, dtype=np.uint8).reshape(10, 12) % 3
SCORES = np.linspace(0, 1, 240, dtype=np.float16).reshape(2, 10, 12)
STENCIL = np.full((len(half_plane_offsets(2)), 10, 12), 0.5, np.float16)
ROW = ImageRow("a", Path("photos/a.png"), None, "train", False, (0, 1), 10, 12, "")


def history(path: Path) -> None:
    with HistoryWriter(path) as rows:
        for step in range(5):
            rows.append({"step": step, "loss": 1 / (1 + step)})


KINDS: dict[str, Callable[[Path], Any]] = {
    "classifier/checkpoint.pt": lambda path: save_checkpoint(path, {"weights": torch.arange(20.0)}),
    "classifier/history.tsv": history,
    "cams/train/00.npz": lambda path: write_cams(path, [("a", SCORES, [1, 2])]),
    "confident/00.h5": lambda path: write_confident(path, [("a", MASK)], pooling="vote"),
    "affinities/train/00.h5": lambda path: write_affinities(
        path, [("a", STENCIL)], AffinityGrid(2, 1.0, "full")
    ),
    "random_walk/train/00.h5": lambda path: write_pseudo_masks(
        path, path.with_name("margins.h5"), [("a", MASK, MASK)]
    ),
    "segmentation/val/00.h5": lambda path: write_masks(path, [("a", MASK)]),
    "dataset/manifest.tsv": lambda path: Manifest(("cat", "dog"), (ROW,)).write(path),
    "dataset/train/00.tsv": lambda path: Manifest(("cat", "dog"), (ROW,)).write(path),
    "scores/random_walk.json": lambda path: write_json(path, {"miou": 0.5, "iou": {"cat": 0.25}}),
    "scores/random_walk.tsv": lambda path: write_confusions(
        path, [ImageConfusion("a", "train", np.array([[0, 1, 5]]))]
    ),
    "quality/signals/00.tsv": lambda path: write_signals(path, [ImageSignals("a", {"margin": 0.25})]),
    "sweep/points.json": lambda path: write_json(path, {"points": [{"beta": 8.0, "t": 16}]}),
    "sweep/finished.json": lambda path: write_json(path, {"finalists": []}),
    "sweep/best.yaml": lambda path: write_text(path, "random_walk: {beta: 8}\n"),
    "predict/shards/00.tsv": lambda path: write_table(path, [{"id": "a", "file": "a.jpg", "problem": ""}]),
    "health/cams.json": lambda path: write_json(path, {"findings": [], "checks": 3}),
    "tables/results.md": lambda path: write_text(path, "| CAM | 48.0 |\n"),
    "bundle/segmenter/weights.safetensors": lambda path: write_text(path, "tensors"),
    "bundle/segmenter/model.json": lambda path: write_json(path, {"format": "wsss bundle 1"}),
    "masks/random_walk/train/classes.txt": lambda path: write_text(path, "cat\ndog\n"),
}
"""What writes an artifact of each kind."""

DESCRIBED_BY = {
    "classifier/history.tsv": "classifier/checkpoint.pt",
    "dataset/train/00.tsv": "dataset/manifest.tsv",
    "bundle/segmenter/model.json": "bundle/segmenter/weights.safetensors",
    "masks/random_walk/train/classes.txt": "masks/random_walk/train/index.tsv",
}
"""The artifact whose manifest has the digest of one without a manifest."""


@pytest.fixture(autouse=True)
def restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, and restore logging and threads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    root, threads = logging.getLogger(), torch.get_num_threads()
    handlers, level, terminate = root.handlers[:], root.level, signal.getsignal(signal.SIGTERM)
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    torch.set_num_threads(threads)
    signal.signal(signal.SIGTERM, terminate)


def described(inputs: list[str], outputs: list[str]) -> Any:
    """The object that Snakemake gives to a script."""
    rule = "plot_scores"
    return SimpleNamespace(
        rule=rule,
        input=InputFiles(inputs),
        output=OutputFiles(outputs),
        params=Params(
            fromdict={"script": rule, "config": rule_params(Study(), rule), "code": {"wsss.method.cam": "ab"}}
        ),
        log=Log(),
        wildcards=Wildcards(),
        resources=ResourceList(fromdict={"mem_mb": 100}),
        threads=1,
    )


def job(inputs: list[str], outputs: list[str]) -> Job[Nothing]:
    return Job(described(inputs, outputs))


def use(path: str) -> None:
    """Run a job that must not get to its work."""
    run(lambda _: pytest.fail("the work began"), described([path], []))


def made(kind: str) -> str:
    """Make an artifact with its manifest, as its job does, and return its path."""
    path, artifact = f"results/tiny/{kind}", f"results/tiny/{DESCRIBED_BY.get(kind, kind)}"
    with job([], list(dict.fromkeys([artifact, path, f"{artifact}.json"]))):
        if artifact != path:
            write_text(artifact, "described")
        KINDS[kind](Path(path))
    return path


def flip(path: str | Path, generator: random.Random) -> None:
    content = bytearray(Path(path).read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    Path(path).write_bytes(content)


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_ends_the_job_that_would_use_it(kind: str) -> None:
    path = made(kind)
    whole = Path(path).read_bytes()
    with job([path], []) as reader:
        assert reader.inputs == {path: file_digest(path)}
    generator = random.Random(kind)
    for _ in range(20):
        flip(path, generator)
        with pytest.raises(DamagedError) as error:
            use(path)
        assert str(error.value).startswith(f"{path}: damaged or changed")
        artifact = f"results/tiny/{DESCRIBED_BY.get(kind, kind)}"
        assert f"--forcerun {artifact}" in str(error.value)
        Path(path).write_bytes(whole)


@pytest.mark.parametrize("kind", ["cams/train/00.npz", "classifier/history.tsv"])
def test_a_flipped_bit_in_a_manifest_ends_the_job_that_would_use_its_artifact(kind: str) -> None:
    path = made(kind)
    manifest = Path(f"results/tiny/{DESCRIBED_BY.get(kind, kind)}.json")
    whole = manifest.read_bytes()
    generator = random.Random(kind)
    for _ in range(60):
        flip(manifest, generator)
        if json_of(manifest) == json.loads(whole):
            continue  # an e for an E in a number: the manifest says the same
        with pytest.raises(DamagedError, match=rf"^{manifest}: damaged"):
            use(path)
        manifest.write_bytes(whole)


def json_of(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def test_a_manifest_that_is_an_input_is_checked_too() -> None:
    path = made("classifier/checkpoint.pt")
    with job([f"{path}.json"], []):
        pass
    flip(f"{path}.json", random.Random(0))
    with pytest.raises(DamagedError, match=r"checkpoint\.pt\.json: damaged"):
        use(f"{path}.json")


def test_files_that_a_job_says_it_reads_are_compared() -> None:
    path = made("cams/train/00.npz")
    flip(path, random.Random(0))
    with job([], []) as reader, pytest.raises(DamagedError, match=path):
        reader.reads([path])


def test_files_that_a_job_says_it_wrote_have_digests() -> None:
    with job([], ["results/tiny/predict/shards/00.tsv", "results/tiny/predict/shards/00.tsv.json"]) as writer:
        write_text("results/tiny/predict/shards/00.tsv", "id\n")
        write_mask("results/tiny/predict/masks/a.png", MASK)
        writer.wrote(["results/tiny/predict/masks/a.png"])
    outputs = json.loads(Path("results/tiny/predict/shards/00.tsv.json").read_text())["outputs"]
    assert outputs == {path: file_digest(path) for path in outputs}
    assert set(outputs) == {"results/tiny/predict/shards/00.tsv", "results/tiny/predict/masks/a.png"}


def test_all_damaged_files_are_named() -> None:
    paths = [made("cams/train/00.npz"), made("affinities/train/00.h5"), made("scores/random_walk.json")]
    for path in paths[:2]:
        flip(path, random.Random(0))
    with pytest.raises(DamagedError) as error:
        require_whole(*paths)
    assert [line.split(":")[0] for line in str(error.value).splitlines()] == paths[:2]


def test_a_damaged_manifest_hides_no_other_damage() -> None:
    paths = [made("cams/train/00.npz"), made("classifier/history.tsv")]
    flip(f"{paths[0]}.json", random.Random(0))
    flip(paths[1], random.Random(0))
    with pytest.raises(DamagedError, match=rf"^{paths[0]}\.json: damaged(?s:.*)\n{paths[1]}: damaged"):
        require_whole(*paths)


def test_a_damaged_mask_that_the_study_drew_is_noticed_by_the_list() -> None:
    table, mask = Path("results/tiny/dataset/manifest.tsv"), Path("results/tiny/dataset/shapes/masks/a.png")
    with job([], [str(table), f"{table}.json"]) as writer:
        write_mask(mask, MASK)
        rows = (ROW, ImageRow("b", Path("b.jpg"), Path("masks/b.png"), "val", True, (0,), 10, 12, ""))
        drawn = ImageRow("a", Path("a.jpg"), mask, "train", True, (0,), 10, 12, "")
        manifest = Manifest(("cat", "dog"), (*rows, drawn))
        manifest.write(table)
        index = list_drawn(manifest, table.parent / "shapes")
        writer.wrote(index)
    assert index == [mask.parents[1] / "index.tsv"]
    require_whole(mask, *index)
    flip(mask, random.Random(0))
    with pytest.raises(DamagedError, match=rf"^{mask}: damaged(?s:.*)--forcerun {table}"):
        require_whole(mask)
    assert list_drawn(Manifest(("cat",), rows[1:]), table.parent / "shapes") == []


def test_a_mask_whose_name_a_spreadsheet_would_run_is_compared() -> None:
    index, mask = Path("results/tiny/masks/random_walk/train/index.tsv"), "=a.png"
    with job([], [str(index), f"{index}.json"]):
        export_masks(index.parent, [("=a", MASK)], {"=a": Path("photos/=a.jpg")}, ["cat"])
    require_whole(index.parent / mask)
    flip(index.parent / mask, random.Random(0))
    with pytest.raises(DamagedError, match=rf"^{index.parent / mask}: damaged"):
        require_whole(index.parent / mask)


# What nobody can compare


def test_files_of_elsewhere_and_results_from_before_digests_were_kept_are_used() -> None:
    path = made("cams/train/00.npz")
    manifest = unsealed(json.loads(Path(f"{path}.json").read_text()))
    del manifest["outputs"], manifest["threads"]
    Path(f"{path}.json").write_text(json.dumps(manifest))
    flip(path, random.Random(0))
    Path("photos").mkdir()
    Path("photos/a.jpg").write_bytes(b"a photograph")
    Path("photos/a.jpg.json").write_text('{"annotations": []}')
    Path("photos/index.tsv").write_text("no list\n")
    require_whole(path, "photos/a.jpg", "/etc/hostname", "nowhere/at/all.txt")


def test_results_that_were_moved_as_a_whole_are_compared() -> None:
    made("classifier/history.tsv")
    shutil.move("results", "elsewhere")
    moved = "elsewhere/tiny/classifier/history.tsv"
    require_whole(moved)
    flip(moved, random.Random(0))
    with pytest.raises(DamagedError, match=rf"^{moved}: damaged"):
        require_whole(moved)


# Photographs


def test_a_photograph_that_was_changed_is_noticed_when_it_is_read() -> None:
    Path("photos").mkdir()
    Image.fromarray(np.zeros((10, 12, 3), np.uint8)).save("photos/a.png")
    assert ROW.photograph().shape == (10, 12, 3)
    listed = ImageRow("a", ROW.image, None, "train", False, (0,), 10, 12, file_digest(ROW.image))
    assert np.array_equal(listed.photograph(), ROW.photograph())
    flip(ROW.image, random.Random(0))
    with pytest.raises(DatasetError, match=r"photos/a\.png: damaged(?s:.*)--forcerun prepare_dataset"):
        listed.photograph()
