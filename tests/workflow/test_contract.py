"""What a dry run plans after the change of a key: the rules that it reaches, and what is made from theirs.

`tests/unit/test_config.py` says of every key which rules it reaches. Keys that reach the same rules have the
same plan, so that Snakemake plans one of each here, for a study that is finished in all but content.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import snakemake.cli
import yaml

from benchmarks.finished import STUDY, configure, finish, photographs
from tests.unit.test_config import CASES, NEEDS, REACHES, WITHOUT_EFFECT, another, longest, nested
from wsss.study.config import merged

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
KIND = "lists of splits"
"""The study of those tests whose data set is of the same kind."""

SHOWN = {"check_health", "write_report"}
READ_BY: dict[str, set[str]] = {
    "train_classifier": {
        "score_classifier", "compute_cams", "train_affinitynet", "train_segmenter", "bundle_classifier",
        "plot_history", *SHOWN,
    },
    "score_classifier": {"bundle_classifier", "plot_history", "plot_scores", *SHOWN},
    "compute_cams": {
        "score_cams", "label_confident", "random_walk", "score_affinities", "measure_quality",
        "plot_quality", "plot_train_gallery", "write_report",
    },
    "label_confident": {
        "score_confident", "train_affinitynet", "measure_quality", "plot_quality", "plot_train_gallery",
        *SHOWN,
    },
    "train_affinitynet": {"compute_affinities", "bundle_affinitynet", "plot_history", *SHOWN},
    "compute_affinities": {"random_walk", "score_affinities", "measure_quality"},
    "score_affinities": {"bundle_affinitynet", "plot_scores", *SHOWN},
    "random_walk": {
        "score_random_walk", "train_segmenter", "export_masks", "measure_quality", "plot_quality",
        "plot_train_gallery", *SHOWN,
    },
    "train_segmenter": {"compute_segmentation", "bundle_segmenter", "plot_history", *SHOWN},
    "compute_segmentation": {
        "score_segmentation", "export_masks", "measure_quality", "plot_quality", "plot_train_gallery",
        "plot_val_gallery", *SHOWN,
    },
    "score_cams": {"plot_scores", "write_tables", *SHOWN},
    "score_confident": {"plot_scores", *SHOWN},
    "score_random_walk": {
        "score_quality", "plot_scores", "plot_quality", "plot_train_gallery", "write_tables", *SHOWN,
    },
    "score_segmentation": {
        "bundle_segmenter", "plot_scores", "plot_quality", "plot_train_gallery", "plot_val_gallery",
        "write_tables", *SHOWN,
    },
    "measure_quality": {"rank_quality"},
    "rank_quality": {"score_quality", "plot_quality", "write_report"},
    "score_quality": {"plot_quality", "write_report"},
    "export_masks": {"write_report"},
    "check_health": {"gather_health"},
    "gather_health": {"plot_scores", "write_tables", "write_report"},
    "write_tables": {"write_report"},
    "bundle_classifier": set(),
    "bundle_affinitynet": set(),
    "bundle_segmenter": set(),
    "plot_history": set(),
    "plot_scores": set(),
    "plot_quality": set(),
    "plot_train_gallery": set(),
    "plot_val_gallery": set(),
    "write_report": set(),
}  # fmt: skip
"""By rule of a run of this study: the rules that read what it makes."""

APART = {"prepare_dataset"}
"""The data set comes before all plans: after its change Snakemake plans anew. See test_reruns.py."""

ASKING_FOR_OTHERS = ("name", "results", "refined_splits", "upper_bound", "rounds", "segmentation.splits")
"""Keys and sections by which a study has other results, whatever they reach."""

NAMING_A_FILE = ("weights", "corrected", "agreed_with")
"""Last words of keys whose other value is a file, which is not there."""


def is_alone(path: str) -> bool:
    """Whether a key can be changed without a file, and makes the same results in another way."""
    asks = any(path == key or path.startswith(f"{key}.") for key in ASKING_FOR_OTHERS)
    return not asks and path not in NEEDS and not path.endswith(NAMING_A_FILE)


def one_of_each() -> dict[frozenset[str], tuple[str, Any]]:
    """A key, and its value before, for each set of rules of a run that keys reach."""
    found: dict[frozenset[str], tuple[str, Any]] = {}
    for name, path, value in CASES:
        if name == KIND and is_alone(path):
            reached = longest(path, REACHES) - longest(path, WITHOUT_EFFECT[KIND])
            if not reached & APART:
                found.setdefault(frozenset(reached & READ_BY.keys()), (path, value))
    return found


SAMPLE = one_of_each()


def made_from(rules: frozenset[str]) -> set[str]:
    """Rules, and all that read what they make, to any depth."""
    found, pending = set(rules), list(rules)
    while pending:
        new = READ_BY[pending.pop()] - found
        found |= new
        pending += new
    return found


@pytest.fixture(scope="module")
def finished_in_name(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A study that Snakemake takes for finished."""
    here, folder = Path.cwd(), tmp_path_factory.mktemp("contract")
    environment = dict(os.environ)
    os.chdir(folder)
    try:
        configure(shards=2)
        photographs(20, size=64)
        finish(size=64)
        snakemake_says("--touch", "--forceall")
        yield folder
    finally:
        os.chdir(here)
        os.environ.clear()
        os.environ.update(environment)


def snakemake_says(*arguments: str) -> str:
    """Run Snakemake in a copy of this process, which has all modules loaded, and return what it says."""
    said = Path("said.txt")
    command = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(STUDY), "--cores", "1", *arguments]
    child = os.fork()
    if child == 0:
        try:
            with said.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            snakemake.cli.main(command)
        except SystemExit as end:
            print("" if isinstance(end.code, int) else end.code, flush=True)
            os._exit(end.code if isinstance(end.code, int) else 1)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    _, status = os.waitpid(child, 0)
    text = said.read_text()
    assert status == 0, text
    return text


def planned() -> set[str]:
    """The rules of a dry run."""
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", snakemake_says("--dry-run"), re.M | re.S)
    return {line.split()[0] for line in table[1].splitlines()} - {"all"} if table else set()


def test_the_sample_has_a_key_for_each_plan() -> None:
    assert len(SAMPLE) > 12
    assert frozenset() in SAMPLE


@pytest.mark.parametrize("reached", SAMPLE, ids=lambda reached: SAMPLE[reached][0])
def test_the_plan_after_a_change_is_the_contract(finished_in_name: Path, reached: frozenset[str]) -> None:
    path, value = SAMPLE[reached]
    study = STUDY.read_text("utf-8")
    try:
        changed = merged(yaml.safe_load(study), nested(path, another(path, value)))
        STUDY.write_text(yaml.safe_dump(changed), "utf-8")
        assert planned() == made_from(reached)
    finally:
        STUDY.write_text(study, "utf-8")
