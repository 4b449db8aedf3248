"""A short run of every fuzzer, and what the runner counts as unclean.

`python -m tests.fuzz` makes longer ones, with other seeds.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz.mutation import mutated
from tests.fuzz.runner import MOST_MB, PATIENCE, Target, fuzz
from tests.fuzz.targets import TARGETS

INPUTS = 100


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_damaged_files_are_refused_in_a_sentence_or_read(target: Target, tmp_path: Path) -> None:
    outcome = fuzz(target, tmp_path, seed=0, count=INPUTS)
    assert not outcome.unclean
    assert outcome.inputs == INPUTS
    assert outcome.refused > INPUTS // 10


def seeds(_: Path) -> Sequence[bytes]:
    return [b"whole"]


def refuses(path: Path) -> None:
    if path.read_bytes() != b"whole":
        raise ValueError(f"{path}: is not whole")


def names_nothing(path: Path) -> None:
    if path.read_bytes() != b"whole":
        raise ValueError("is not whole")


def raises_another(path: Path) -> None:
    if path.read_bytes() != b"whole":
        raise IndexError(f"{path}: is not whole")


def hangs(path: Path) -> None:
    if path.read_bytes() != b"whole":
        signal.pause()


def dies(path: Path) -> None:
    if path.read_bytes() != b"whole":
        os.abort()


def swells(path: Path) -> None:
    if path.read_bytes() != b"whole":
        np.ones((MOST_MB + 100, 1 << 20), np.uint8)
        raise ValueError(f"{path}: is not whole")


def runs_away(path: Path) -> None:
    if path.read_bytes() != b"whole":
        np.ones((1 << 14, 1 << 20), np.uint8)


def run(read: object, folder: Path, count: int = 2, patience: int = PATIENCE) -> list[str]:
    target = Target("this", "file", read, seeds)  # type: ignore[arg-type]
    outcome = fuzz(target, folder, seed=0, count=count, patience=patience)
    assert outcome.inputs == count
    return outcome.unclean


def test_a_sentence_that_names_the_file_is_clean(tmp_path: Path) -> None:
    assert run(refuses, tmp_path) == []


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (names_nothing, "does not name the file: ValueError: is not whole"),
        (raises_another, "IndexError at test_fuzz.py"),
        (dies, r"ends the process (-6)"),
        (runs_away, "MemoryError"),
    ],
)
def test_anything_else_is_unclean(tmp_path: Path, read: object, said: str) -> None:
    unclean = run(read, tmp_path)
    assert len(unclean) == 2
    assert all(f": {said}" in line for line in unclean)


def test_a_hang_is_unclean(tmp_path: Path) -> None:
    assert run(hangs, tmp_path, patience=1) == ["this 0: hangs", "this 1: hangs"]


def test_much_memory_is_unclean(tmp_path: Path) -> None:
    """Counted once, as the peak of a process does not fall."""
    assert [line.split(" MB")[0][:14] for line in run(swells, tmp_path)] == ["this 0: takes "]


def test_a_seed_and_a_number_give_the_same_file() -> None:
    content = [bytes(range(200)), b"text"]
    assert [mutated(content, 3, number) for number in range(50)] == [
        mutated(content, 3, number) for number in range(50)
    ]
    assert len({mutated(content, 3, number) for number in range(50)}) > 40
