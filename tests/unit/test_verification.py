"""`wsss verify`: everything that a study has read and written is compared."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wsss.study.verification
from wsss.study.config import Study, load_study
from wsss.study.modules import loaded_modules
from wsss.study.params import rule_params
from wsss.study.provenance import (
    ArtifactManifest,
    code_digest,
    file_digest,
    library_versions,
    unsealed,
)
from wsss.study.verification import verify

RESULTS = "results/shapes"
TABLE, CAMS, MASKS, INDEX = (
    f"{RESULTS}/{name}"
    for name in (
        "dataset/manifest.tsv",
        "cams/train/00.npz",
        "random_walk/train/00.h5",
        "masks/random_walk/train/index.tsv",
    )
)
PNG, PART = f"{RESULTS}/masks/random_walk/train/a.png", f"{RESULTS}/dataset/train/00.tsv"
PHOTO = "photos/a.jpg"
MARGINS = f"{RESULTS}/random_walk/margins/train/00.h5"

JOBS = {
    "prepare_dataset": ([TABLE], [PART], []),
    "compute_cams": ([CAMS], [], ["checkpoint.pt", PART]),
    "random_walk": ([MASKS, MARGINS], [], [CAMS]),
    "export_masks": ([INDEX], [], [MASKS]),
}
"""By rule: artifacts, other outputs and inputs."""


def write(path: str | Path, text: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def record(rule: str, **changes: Any) -> None:
    """Write the manifests of a job as it would leave them."""
    artifacts, others, inputs = JOBS[rule]
    script = wsss.study.verification.WORKFLOW / "workflow_scripts" / f"{rule}.py"
    for artifact in artifacts:
        made: dict[str, Any] = {
            "artifact": artifact,
            "rule": rule,
            "config": rule_params(Study(), rule),
            "code": code_digest(script, loaded_modules(Study(), rule)),
            "inputs": {path: file_digest(path) for path in inputs},
            "outputs": {path: file_digest(path) for path in (artifact, *others)},
            "seed": None,
            "versions": library_versions(),
            "threads": 1,
            "device": "cpu",
            "seconds": 1.5,
            "peak_memory_mb": 100.0,
            "created": "2030-01-01T00:00:00+00:00",
        }
        write(f"{artifact}.json", json.dumps(ArtifactManifest(**made | changes).to_json()))


@pytest.fixture(autouse=True)
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the results of four rules, as the default study makes them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(wsss.study.verification, "WORKFLOW", tmp_path)
    for rule in JOBS:
        write(f"workflow_scripts/{rule}.py", "import wsss")
    for path in ("config.yaml", "checkpoint.pt", CAMS, MASKS, MARGINS, PNG, PHOTO, f"{RESULTS}/logs/x.log"):
        write(path, f"content of {path}")
    row = ["a", PHOTO, "", "train", "", "0", "8", "8", file_digest(PHOTO)]
    columns = ["id", "image", "mask", "split", "scored", "labels", "height", "width", "digest"]
    for table in (TABLE, PART):
        write(table, "# classes:\tdog\n" + "\t".join(columns) + "\n" + "\t".join(row) + "\n")
    write(INDEX, f"id\tfile\tdigest\timage\na\ta.png\t{file_digest(PNG)}\t{PHOTO}\n")
    for rule in JOBS:
        record(rule)


def stale(study: Study | None = None) -> list[str]:
    return verify(RESULTS, study or Study()).stale


def test_nothing_is_stale_when_nothing_changed() -> None:
    found = verify(RESULTS, Study())
    assert (found.stale, found.warnings, found.artifacts) == ([], [], 5)
    compared = [TABLE, PART, PHOTO, CAMS, "checkpoint.pt", MASKS, MARGINS, INDEX, PNG]
    assert (found.files, found.size) == (len(compared), sum(map(os.path.getsize, compared)))
    assert verify(Path(RESULTS), Study()) == verify(RESULTS, Study(), workers=1) == found


def test_changed_configuration() -> None:
    study = load_study({"random_walk": {"background": {"alpha": 8}}, "seed": 5})
    first = f"{MASKS}: config random_walk.background.alpha was 3.0, is 8.0"
    assert first in stale(study)


def test_what_is_made_from_stale_results_is_stale() -> None:
    study = load_study({"cams": {"flip": False}})
    assert stale(study) == [
        f"{CAMS}: config cams.flip was True, is False",
        f"{INDEX}: its input {MASKS} is stale",
        f"{MARGINS}: its input {CAMS} is stale",
        f"{MASKS}: its input {CAMS} is stale",
    ]


def deleted(path: str) -> None:
    Path(path).unlink()


def changed(path: str) -> None:
    write(path, "x = 1")


def flipped(path: str) -> None:
    """One bit, with size and time as they were."""
    before = os.stat(path)
    content = bytearray(Path(path).read_bytes())
    content[len(content) // 2] ^= 4
    Path(path).write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("path", "how", "line"),
    [
        ("checkpoint.pt", changed, f"{CAMS}: input checkpoint.pt has changed"),
        ("checkpoint.pt", flipped, f"{CAMS}: input checkpoint.pt has changed"),
        ("checkpoint.pt", deleted, f"{CAMS}: input checkpoint.pt is gone"),
        (CAMS, deleted, f"{CAMS}: is gone, its manifest is still there; output {CAMS} is gone"),
        (CAMS, flipped, f"{CAMS}: output {CAMS} is damaged or was changed"),
        (MARGINS, flipped, f"{MARGINS}: output {MARGINS} is damaged or was changed"),
        (PART, flipped, f"{TABLE}: output {PART} is damaged or was changed"),
        (PART, deleted, f"{TABLE}: output {PART} is gone"),
        (INDEX, flipped, f"{INDEX}: output {INDEX} is damaged or was changed"),
        (PNG, flipped, f"{INDEX}: file {PNG} is damaged or was changed"),
        (PNG, deleted, f"{INDEX}: file {PNG} is gone"),
        (PHOTO, flipped, f"{TABLE}: file {PHOTO} is damaged or was changed"),
        (PHOTO, deleted, f"{TABLE}: file {PHOTO} is gone"),
        (f"{CAMS}.json", flipped, f"{CAMS}: its manifest cannot be read"),
        ("workflow_scripts/compute_cams.py", changed, f"{CAMS}: code compute_cams.py has changed"),
        ("workflow_scripts/compute_cams.py", deleted, f"{CAMS}: rule compute_cams no longer exists"),
    ],
)
def test_changed_files(path: str, how: Callable[[str], None], line: str) -> None:
    how(path)
    lines = stale()
    assert any(found.startswith(line) for found in lines), lines


def test_what_is_made_from_a_damaged_result_is_stale() -> None:
    flipped(CAMS)
    assert [line.split(":")[0] for line in stale()] == [CAMS, INDEX, MARGINS, MASKS]


def test_a_line_names_a_few_of_many_files() -> None:
    names = [f"{number:02}.png" for number in range(20)]
    for name in names:
        write(Path(PNG).with_name(name), name)
    rows = [f"{name}\t{file_digest(Path(PNG).with_name(name))}\n" for name in names]
    write(INDEX, "file\tdigest\n" + "".join(rows))
    record("export_masks")
    for name in names:
        Path(PNG).with_name(name).unlink()
    folder = Path(PNG).parent
    assert stale() == [f"{INDEX}: file {folder}/00.png, {folder}/01.png, {folder}/02.png and 17 more is gone"]


def test_results_that_were_moved_as_a_whole_are_compared_where_they_are() -> None:
    Path("results").rename("moved")
    assert "output" not in " ".join(verify("moved/shapes", Study()).stale)
    flipped(PART.replace("results", "moved"))
    assert "output moved/shapes/dataset/train/00.tsv" in " ".join(verify("moved/shapes", Study()).stale)


# Warnings


def test_another_version_of_a_library_is_a_warning() -> None:
    record("compute_cams", versions=library_versions() | {"pillow": "1.2"})
    found = verify(RESULTS, Study())
    assert found.stale == []
    assert found.warnings == [f"pillow was 1.2 for 1 artifacts, is {library_versions()['pillow']}"]


@pytest.mark.parametrize(
    ("counts", "said"), [((2, 1), "ran with 1 and 2 threads"), ((999, 999), "ran with 999 threads, here are")]
)
def test_numbers_of_threads_are_a_warning(counts: tuple[int, int], said: str) -> None:
    record("random_walk", threads=counts[0])
    manifest = unsealed(json.loads(Path(f"{MASKS}.json").read_text()))
    write(f"{MASKS}.json", json.dumps(ArtifactManifest(**manifest | {"threads": counts[1]}).to_json()))
    found = verify(RESULTS, Study())
    assert found.stale == []
    assert len(found.warnings) == 1
    assert f"random_walk {said}" in found.warnings[0]


def test_results_from_before_digests_were_kept_are_a_warning() -> None:
    old = unsealed(json.loads(Path(f"{CAMS}.json").read_text()))
    del old["outputs"], old["threads"]
    write(f"{CAMS}.json", json.dumps(old))
    flipped(CAMS)
    found = verify(RESULTS, Study())
    assert f"the content of {CAMS} cannot be compared" in found.warnings[0]
    assert f"{MASKS}: input {CAMS} has changed" in found.stale


def test_what_people_ask_for_beside_a_run_needs_no_manifest() -> None:
    for path in ("report/beside-other.html", "tensorboard/segmenter/events.out.tfevents.1"):
        write(f"{RESULTS}/{path}", "asked for")
    assert verify(RESULTS, Study()).warnings == []
    write(f"{RESULTS}/report/other.html", "by hand")
    assert verify(RESULTS, Study()).warnings == [f"no manifest names {RESULTS}/report/other.html"]


def test_results_that_no_manifest_names_are_a_warning() -> None:
    deleted(f"{INDEX}.json")
    found = verify(RESULTS, Study())
    assert found.stale == []
    assert found.warnings == [f"no manifest names {PNG}, {INDEX}"]
