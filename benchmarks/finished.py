"""How long a dry run and `wsss verify` take over a finished study of many photographs.

    python -m benchmarks.finished [--images 100000] [--shards 100] [--size 512]

The study is made up: photographs, masks and artifacts are a few bytes each, but there are as many of them as
in a real one, each artifact has the manifest that its job would write, and Snakemake itself records that all
is finished (`--touch`). Nothing is computed. Files are read from the memory that caches them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from benchmarks.verify import record_as
from wsss.data import ImageRow, Manifest
from wsss.results.rows import list_files
from wsss.stages.dataset import write_parts
from wsss.stages.stand_in import read_workflow
from wsss.study.code_digest import WORKFLOW
from wsss.study.integrity import INDEX
from wsss.study.provenance import file_digests
from wsss.study.reading import workflow_study

STUDY = Path("study.yaml")
VAL = 10
"""One photograph in so many is of val."""


class Task(NamedTuple):
    """A job of the finished study: its rule and wildcards, and the paths that it read and wrote."""

    rule: Any
    wildcards: Mapping[str, str]
    inputs: list[str]
    outputs: list[str]


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--shards", type=int, default=100, help="of train, and a tenth of that of val")
    parser.add_argument("--size", type=int, default=512, help="bytes of a photograph and of a mask")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        configure(arguments.shards)
        photographs(arguments.images, arguments.size)
        tasks = finish(arguments.size)
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(WORKFLOW / "Snakefile")]
        snakemake += ["--configfile", str(STUDY), "--cores", "1", "--quiet", "all"]
        measured([*snakemake, "--touch", "--forceall"])
        print(f"{arguments.images} photographs, {len(tasks)} jobs")
        for name, command, expected in (
            ("snakemake -n", [*snakemake[:-2], "-n"], "Nothing to be done"),
            ("wsss verify", [sys.executable, "-m", "wsss", "verify", str(STUDY)], "are up to date"),
        ):
            said, seconds, mebibytes = measured(command)
            assert expected in said, said
            print(f"{name}: {seconds:.1f} s of processor time, at most {mebibytes:.0f} MiB")
        os.chdir(WORKFLOW)


def configure(shards: int) -> None:
    """Write the study."""
    study = {
        "name": "finished",
        "dataset": {"kind": "folder", "root": "photos", "splits": {"train": "train.txt", "val": "val.txt"}},
        "shards": {"train": shards, "val": max(1, shards // VAL)},
    }
    STUDY.write_text(yaml.safe_dump(study), encoding="utf-8")


def photographs(count: int, size: int) -> None:
    """Write photographs of noise, and the lists of the data set."""
    Path("photos", "images").mkdir(parents=True)
    names = [f"{number:06}" for number in range(count)]
    for name in names:
        Path("photos", "images", f"{name}.jpg").write_bytes(name.encode() + os.urandom(size - len(name)))
    Path("photos", "labels.csv").write_text("".join(f"{name},dog\n" for name in ["id", *names]), "utf-8")
    for split, ids in (("val", names[::VAL]), ("train", [n for n in names if int(n) % VAL])):
        Path("photos", f"{split}.txt").write_text("".join(f"{name}\n" for name in ids), "utf-8")


def finish(size: int) -> list[Task]:
    """Make up all results of the study, with their manifests, in the order of its jobs."""
    workflow = read_workflow([STUDY])
    study = workflow_study(workflow)
    rules = {rule.name: rule for rule in workflow.rules}
    prepare = task(rules["prepare_dataset"], {})
    images = manifest()
    images.write(prepare.outputs[0])
    tables = [path for path in prepare.outputs if path.endswith(".tsv")][1:]
    splits = [path for path in tables if Path(path).stem in study.splits]
    write_parts(images, splits, [path for path in tables if path not in splits], study.shards)
    workflow.checkpoints.created_output.update(prepare.outputs)
    digests: dict[str, str] = {}
    tasks = list(in_order(rules.values(), rules["all"]))
    for done in tasks:
        write_outputs(done, images, size)
        write_manifests(done, digests)
    return tasks


def manifest() -> Manifest:
    """The table of the data set."""
    digests = file_digests(sorted(Path("photos", "images").iterdir()))
    rows = (
        ImageRow(path.stem, path, None, "train" if int(path.stem) % VAL else "val", False, (0,), 8, 8, digest)
        for path, digest in ((Path(name), digest) for name, digest in digests.items())
    )
    return Manifest(("dog",), tuple(rows))


def task(rule: Any, wildcards: Mapping[str, str]) -> Task:
    """The job of a rule with these wildcards."""
    inputs, *_ = rule.expand_input(wildcards)
    outputs, _ = rule.expand_output(wildcards)
    return Task(rule, wildcards, list(map(str, inputs)), list(map(str, outputs)))


def in_order(rules: Iterable[Any], target: Any) -> Iterator[Task]:
    """The jobs that lead to a target, each after those that make its inputs."""
    making = [rule for rule in rules if rule.output]
    known: set[str] = set()

    def leading_to(paths: Iterable[str]) -> Iterator[Task]:
        for path in paths:
            if path in known:
                continue
            maker = next((rule for rule in making if rule.is_producer(path)), None)
            if maker is None:
                known.add(path)
                continue
            found = task(maker, dict(maker.get_wildcards(path).items()))
            known.update(found.outputs)
            yield from leading_to(found.inputs)
            yield found

    inputs, *_ = target.expand_input({})
    yield from leading_to(map(str, inputs))


def write_outputs(done: Task, images: Manifest, size: int) -> None:
    """Write what is not there yet: a few bytes that name the file, and for a list of masks the masks."""
    for path in map(Path, done.outputs):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.name == INDEX:
            masks = [path.parent / f"{row.id}.png" for row in images.split(done.wildcards["split"])]
            for mask in masks:
                mask.write_bytes(mask.stem.encode() + os.urandom(size - len(mask.stem)))
            list_files(path.parent, masks)
        elif not path.exists():
            path.write_bytes(str(path).encode())


def write_manifests(done: Task, digests: dict[str, str]) -> None:
    """Write the manifests of a job's artifacts; `digests` has those of all files up to now."""
    artifacts = [path for path in done.outputs if f"{path}.json" in done.outputs]
    made_by = {f"{artifact}.json" for artifact in artifacts}
    digests |= file_digests(path for path in [*done.outputs, *done.inputs] if path not in digests)
    others = {path: digests[path] for path in done.outputs if path not in made_by and path not in artifacts}
    for artifact in artifacts:
        record_as(
            artifact,
            rule=done.rule.params.script,
            config=done.rule.params.config,
            code=done.rule.params.code,
            inputs={path: digests[path] for path in done.inputs},
            outputs={artifact: digests[artifact]} | others,
        )
        digests.pop(f"{artifact}.json", None)


MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stderr=subprocess.STDOUT)
_, status, used = os.wait4(process.pid, 0)
print(f"\\n{status} {used.ru_utime + used.ru_stime} {used.ru_maxrss / 1024}")
"""
"""Runs a command and tells what it used. A process of its own: a child's memory counts that of its parent."""


def measured(command: list[str]) -> tuple[str, float, float]:
    """What a command says, its seconds of processor time, and its largest resident memory in MiB.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run([sys.executable, "-c", MEASURE, *command], stdout=subprocess.PIPE, text=True)
    said, _, used = done.stdout.rstrip().rpartition("\n")
    status, seconds, mebibytes = map(float, used.split())
    if status:
        raise RuntimeError(f"{' '.join(command)}:\n{said}")
    return said, seconds, mebibytes


if __name__ == "__main__":
    main()
