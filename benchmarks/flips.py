"""Flipped bits in the results of a finished study, and how many of them the next job would notice.

    python -m benchmarks.flips results/shapes [--flips 60] [--seed 0]

The results are copied, with paths as they are, into a temporary folder. Per kind of file and flip, one bit of
one file is flipped, the file is compared as a job compares its inputs, and the bit is put back. A flip in a
manifest that leaves its content as it was, such as an `E` for the `e` of a number, is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wsss.data import DatasetError, Manifest
from wsss.study.integrity import require_whole
from wsss.study.provenance import DamagedError

KINDS = {
    "checkpoints": "**/checkpoint.pt",
    "histories": "**/history.tsv",
    "CAM stacks": "**/cams/*/*.npz",
    "confident regions": "**/confident/*.h5",
    "affinities": "**/affinities/*/*.h5",
    "pseudo masks": "**/random_walk/**/*.h5",
    "segmentation": "**/segmentation/*/*.h5",
    "data set tables": "dataset/**/*.tsv",
    "manifests": "**/*.*.json",
    "scores, JSON": "**/scores/*[a-z].json",
    "scores, TSV": "**/scores/*.tsv",
    "quality": "**/quality/**/*.tsv",
    "sweep": "**/sweep/**/*[0-9a-z].json",
    "health": "**/health/*[a-z].json",
    "bundles, weights": "bundle/*/weights.safetensors",
    "bundles, model.json": "bundle/*/model.json",
    "masks, PNG": "masks/**/*.png",
    "tables and pages": "**/*.html",
    "photographs": "photographs",
}
"""Patterns below the folder of results."""


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("--flips", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    results: Path = arguments.results
    if results.is_absolute():
        parser.error(f"{results}: expected a path below the working directory, as manifests have it")
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(results, Path(folder, results))
        os.chdir(folder)
        photographs = _copied_photographs(here, results)
        generator = random.Random(arguments.seed)
        print(f"{'kind':22}{'files':>7}{'flips':>7}{'noticed':>9}")
        for kind, pattern in KINDS.items():
            files = sorted(photographs) if kind == "photographs" else _files(results, pattern)
            if files:
                noticed = sum(_flipped(files, photographs, generator) for _ in range(arguments.flips))
                print(f"{kind:22}{len(files):>7}{arguments.flips:>7}{noticed:>9}")
        os.chdir(here)


def _files(results: Path, pattern: str) -> list[Path]:
    wants_manifests = pattern.endswith(".*.json")
    found = (path for path in results.glob(pattern) if path.is_file() and path.stat().st_size)
    return sorted(path for path in found if wants_manifests == bool(_of_artifact(path)))


def _of_artifact(path: Path) -> bool:
    return path.suffix == ".json" and path.with_suffix("").exists()


def _copied_photographs(here: Path, results: Path) -> dict[Path, Any]:
    """The rows of the photographs by path, which are copied to where the table says."""
    rows = {row.image: row for row in Manifest.read(results / "dataset" / "manifest.tsv")}
    for path in rows:
        if not path.is_absolute() and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(here / path, path)
    return {path: row for path, row in rows.items() if not path.is_absolute()}


def _flipped(files: list[Path], photographs: dict[Path, Any], generator: random.Random) -> bool:
    """Flip a bit of one of the files, tell whether that is noticed, and put it back."""
    for path, content in _flips(files, generator):
        whole = path.read_bytes()
        path.write_bytes(content)
        try:
            if path.suffix == ".json" and _same_json(whole, content):
                continue
            if path in photographs:
                photographs[path].photograph()
            else:
                require_whole(path)
        except (DamagedError, DatasetError):
            return True
        finally:
            path.write_bytes(whole)
        return False
    raise AssertionError("unreachable: flips never end")


def _flips(files: list[Path], generator: random.Random) -> Iterator[tuple[Path, bytes]]:
    while True:
        path = generator.choice(files)
        content = bytearray(path.read_bytes())
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        yield path, bytes(content)


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


if __name__ == "__main__":
    main()
