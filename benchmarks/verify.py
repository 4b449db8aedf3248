"""How long `wsss verify` takes over many files.

    python -m benchmarks.verify [--files 100000] [--size 4096]

Half of the files are photographs that the table of a data set lists, half are masks that an index lists, all
of the same size and made up. They are read from the memory that caches files, where there is enough of it.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from wsss.results import write_manifest
from wsss.results.rows import write_rows
from wsss.study.code_digest import WORKFLOW, code_digest
from wsss.study.config import Study
from wsss.study.modules import loaded_modules
from wsss.study.params import rule_params
from wsss.study.provenance import ArtifactManifest, file_digest, file_digests, library_versions
from wsss.study.verification import verify

STUDY = Study()
RESULTS = Path(STUDY.results, STUDY.name)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=4096)
    arguments = parser.parse_args()
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        make(arguments.files // 2, arguments.size)
        for workers in (1, os.cpu_count() or 1):
            start, used = time.perf_counter(), time.process_time()
            found = verify(RESULTS, STUDY, workers)
            seconds, used = time.perf_counter() - start, time.process_time() - used
            assert not found.stale, found.stale
            print(
                f"{found.files} files, {found.size / 1e6:.0f} MB, {workers} at a time: {seconds:.1f} s, "
                f"{used:.1f} s of processor time"
            )
        os.chdir(here)
    print(f"at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


def make(count: int, size: int) -> None:
    """Make results with so many photographs and masks."""
    generator = random.Random(0)
    folder, table = RESULTS / "masks" / "random_walk" / "train", RESULTS / "dataset" / "manifest.tsv"
    for place in (Path("photos"), folder, table.parent):
        place.mkdir(parents=True)
    names = [f"{number:06}" for number in range(count)]
    for name in names:
        Path("photos", f"{name}.jpg").write_bytes(generator.randbytes(size))
        (folder / f"{name}.png").write_bytes(generator.randbytes(size))
    digests = file_digests(Path("photos", f"{name}.jpg") for name in names)
    columns = ["id", "image", "mask", "split", "scored", "labels", "height", "width", "digest"]
    rows = [
        [name, f"photos/{name}.jpg", "", "train", "", "0", 8, 8, digest]
        for name, digest in zip(names, digests.values(), strict=True)
    ]
    write_rows(table, columns, rows)
    table.write_text("# classes:\tdog\n" + table.read_text("utf-8"), "utf-8")
    listed = ((f"{name}.png", file_digest(folder / f"{name}.png")) for name in names)
    write_rows(folder / "index.tsv", ("file", "digest"), listed)
    record(table, "prepare_dataset", [])
    record(folder / "index.tsv", "export_masks", [table])


def record(artifact: Path, rule: str, inputs: list[Path]) -> None:
    """Write the manifest of an artifact as its job would."""
    script = WORKFLOW / "workflow_scripts" / f"{rule}.py"
    record_as(
        artifact,
        rule=rule,
        config=rule_params(STUDY, rule),
        code=code_digest(script, loaded_modules(STUDY, rule)),
        inputs=file_digests(inputs),
        outputs=file_digests([artifact]),
    )


def record_as(artifact: Path | str, **facts: Any) -> None:
    """Write a manifest with these facts, and what no run has measured."""
    made = ArtifactManifest(
        artifact=str(artifact),
        seed=None,
        versions=library_versions(),
        threads=1,
        device="cpu",
        seconds=1.0,
        peak_memory_mb=1.0,
        created="2026-11-26T00:00:00+00:00",
        **facts,
    )
    write_manifest(artifact, made)


if __name__ == "__main__":
    main()
