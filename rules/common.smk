"""Wildcards, and the input functions that all stages share.

Every input goes through the checkpoint `prepare_dataset`: once it has run, Snakemake looks anew at what each job
reads, and a shard whose images stayed the same starts nothing. A job with a plain path among its inputs would run.
"""

import csv
from pathlib import Path

from snakemake.exceptions import WorkflowError

SCORED = study.scored_artifacts


wildcard_constraints:
    split="train|val",
    shard=r"\d+",
    artifact="random_walk|segmentation",


def result(path):
    """Input function: one file under results/, whose wildcards are the job's."""

    def file(wildcards):
        checkpoints.prepare_dataset.get()
        return path.format(**dict(wildcards.items()))

    return file


def all_shards(path, split=None):
    """Input function: the files of all shards of a split, by default of the job's own."""

    def files(wildcards):
        checkpoints.prepare_dataset.get()
        return expand(path, **{**dict(wildcards.items()), **shards_of(split or wildcards.split)})

    return files


def shards_of(split):
    """The values of the wildcards `split` and `shard` for all shards of a split."""
    return {"split": split, "shard": shard_names(study.shards[split])}


def weights_file(section):
    """Input function: the file that a network starts from, if `weights` names one. Without it nothing begins."""
    weights = getattr(study, section).weights
    if weights in ("none", "imagenet", "classifier"):
        return []
    if not Path(weights).is_file():
        raise WorkflowError(f"{section}.weights: {weights}: no such file ({Path(weights).absolute()})")
    return result(weights)


def classifier_file(section):
    """Input function: the classifier's checkpoint, if a network starts from its weights."""
    starts_there = getattr(study, section).weights == "classifier"
    return result("<results>/classifier/checkpoint.pt") if starts_there else []


def true_masks(split):
    """Input function: the masks that a split, or the job's shard of it, is scored on.

    A changed mask changes scores, and nothing else. The tens of thousands that are drawn from the annotations of COCO
    are left out: the manifest, which all scoring reads too, names a folder of its own for each state of these.
    """
    if study.dataset.kind == "coco":
        return []
    counts = {"train": "scored", "val": "mask"}[split]

    def files(wildcards):
        shard = wildcards.get("shard")
        with open(checkpoints.prepare_dataset.get().output.manifest, encoding="utf-8") as table:
            next(table)  # the classes
            rows = list(csv.DictReader(table, delimiter="\t"))
        scored = [row for row in rows if row["split"] == split and row[counts]]
        count = study.shards[split]
        return [row["mask"] for row in scored if shard is None or shard_of(row["id"], count) == int(shard)]

    return files


def files_of_shard(key, folder):
    """Param function: another system's files of a shard's images, by name, size and time; see `shard_files`."""

    def files(wildcards):
        if not Path(folder).is_dir():
            raise WorkflowError(f"{key}: {folder}: no such folder, seen from {Path.cwd()}")
        table = f"{study.results}/{study.name}/dataset/{wildcards.split}/{wildcards.shard}.tsv"
        return shard_files(folder, table)

    return files


def of_test(files):
    """Input function: what `files` says, in a study that has test images; in others the target ends at once."""

    def found(wildcards):
        if "test" not in study.splits:
            raise WorkflowError(
                "voc_submission needs the test images of VOC 2012, dataset: {kind: voc12, test: true}; "
                f"the dataset of this study is of kind {study.dataset.kind}, without them"
            )
        return files(wildcards)

    return found
