"""Wildcards, and the functions for inputs and params that all families share.

Every input goes through the checkpoint `prepare_dataset`: once it has run, Snakemake looks again at what each job
reads, and a shard whose images are unchanged starts nothing. A job with a plain path among its inputs would run.
`<results>` is the folder of the study or of one within it, `<shared>` that of the data set and the classifier of all.
"""

import csv
import os
from dataclasses import replace
from functools import cache
from pathlib import Path

from wsss.study.caches import cache_folders
from wsss.study.cluster import asks
from wsss.study.code_digest import code_digest
from wsss.study.invocation import Invocation
from wsss.study.machine import shard_threads, slots_of_run
from wsss.study.modules import loaded_modules
from wsss.study.params import rule_params
from wsss.study.registry import AFFINITY_KINDS, CAM_KINDS, choices
from wsss.study.shards import shard_names, shard_of
from wsss.study.sources import corrected_files, photographs, shard_files, source_images, source_tables

os.environ.update(cache_folders())

SLOTS = slots_of_run()


wildcard_constraints:
    split="train|val",
    shard=r"\d+",
    artifact="random_walk|segmentation",


def params_of(rule):
    """Params of a rule: its script, the part of the configuration that it uses, and the digest of its code."""
    code = code_digest(f"{workflow.basedir}/workflow_scripts/{rule}.py", loaded_modules(study, rule))
    return {"script": rule, "config": rule_params(study, rule), "code": code}


def result(path):
    """Input function: one file under results/, with the wildcards of the job."""

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


def weights_file(network):
    """Input function: the file that a network starts from, if `weights` names one.

    Fails before any job starts if the file is missing and the study trains the network.
    """
    weights = getattr(study, network).weights
    if weights in ("none", "imagenet", "classifier"):
        return []
    return named_file(f"{network}.weights", weights) if network in study.trained_networks else result(weights)


def named_file(key, path):
    """Input function: the file that a key names, which is there, or which a rule of the study makes.

    Fails before any job starts if it is missing.
    """
    if not Path(path).is_file() and not path.startswith(f"{SHARED}/"):
        raise SystemExit(f"{key}: {path}: no such file ({Path(path).absolute()})")
    return result(path)


def threads_of_shards(splits=(), others=0):
    """Threads of a job on one shard of these splits, or of so many; without a GPU it has a share of the cores."""

    def threads(wildcards):
        shards = others + sum(study.shards[split] for split in splits)
        return shard_threads(workflow.resource_settings.cores, shards, SLOTS)

    return threads


def seeds_file():
    """Input function: the checkpoint of the network that gives the CAMs or seeds, if one does."""
    if study.cams.kind == "segmenter":
        return named_file("cams.checkpoint", study.cams.checkpoint)
    return checkpoint_file(CAMS_NETWORK)


def classifier_file(network):
    """Input function: the classifier's checkpoint, if a network starts from its weights."""
    starts_there = getattr(study, network).weights == "classifier"
    return result("<shared>/classifier/checkpoint.pt") if starts_there else []


def confident_labels(network):
    """Input function: the confident regions, unless a network is loaded finished."""
    trained = getattr(study, network).epochs
    return all_shards("<results>/confident/{shard}.h5", "train") if trained else []


def corrected_masks():
    """Input function: the corrected masks of train, if the study has any."""
    return result("<shared>/corrected/train.h5") if study.segmenter.corrected else []


def files_of_corrected(wildcards):
    """Input function: the files of the corrected masks, or an error if there are none."""
    folder = study.segmenter.corrected
    if folder is None:
        raise SystemExit("check_corrected needs segmenter.corrected, a folder of corrected masks")
    files = corrected_files(folder)
    if not files:
        found = "no masks there" if Path(folder).is_dir() else "no such folder"
        raise SystemExit(f"segmenter.corrected: {folder}: {found} ({Path(folder).absolute()})")
    checkpoints.prepare_dataset.get()
    return files


@cache
def new_images():
    """The photographs that `predict.images` names, by id; an error if there are none."""
    folder = study.predict.images
    if folder is None:
        given = Invocation.of(workflow)
        named = replace(given, config=(*given.config, "predict={images: photographs}"))
        raise SystemExit(
            f"predict.images: missing, the folder of new photographs, as in {named.command('predict')}"
        )
    found = {name: path for name, path in photographs(folder).items() if path.is_file()}
    if not found:
        problem = "no images there" if Path(folder).is_dir() else "no such folder"
        raise SystemExit(f"predict.images: {folder}: {problem} ({Path(folder).absolute()})")
    if braced := next((path for path in found.values() if set("{}") & set(str(path))), None):
        raise SystemExit(
            f"predict.images: {braced}: allowed are names without {{ and }}, which Snakemake fills in; "
            "`wsss predict` takes them"
        )
    return found


def new_images_of_shard(wildcards):
    """Input function: the new photographs of a shard."""
    images = new_images()
    checkpoints.prepare_dataset.get()
    count, shard = study.predict.shards, int(wildcards.shard)
    return [str(path) for name, path in images.items() if shard_of(name, count) == shard]


def predicted_shards(wildcards):
    """Input function: the tables of all shards that hold a new photograph."""
    images = new_images()
    checkpoints.prepare_dataset.get()
    count = study.predict.shards
    shards = sorted({shard_of(name, count) for name in images})
    return expand(
        "<results>/predict/shards/{shard}.tsv", shard=[shard_names(count)[shard] for shard in shards]
    )


def network_of(kinds, kind):
    """Name of the network that computes CAMs or affinities of a kind, or None for files of other systems."""
    return choices(kinds)[kind]["network"]


def checkpoint_file(network):
    """Input function: the checkpoint of a network, if there is one."""
    return result(f"<results>/{network}/checkpoint.pt") if network else []


def health_up_to(part):
    """The checks of a part and of all that stand before it on the road."""
    parts = list(HEALTH)
    return expand("<results>/health/{part}.json", part=parts[: parts.index(part) + 1])


def chosen_values():
    """Input function: the values of the random walk that say `auto`, if any do."""
    return result("<results>/sweep/chosen.yaml") if study.random_walk.chosen_keys else []


def files_of_shard(section):
    """Input function: another system's files of a shard's images, if a section names their folder."""
    folder = getattr(getattr(study, section), "folder", None)
    if folder is None:
        return []

    def files(wildcards):
        if not Path(folder).is_dir():
            raise SystemExit(f"{section}.folder: {folder}: no such folder ({Path(folder).absolute()})")
        tables = Path(checkpoints.prepare_dataset.get().output.manifest).parent
        table = tables / wildcards.split / f"{wildcards.shard}.tsv"
        try:
            return shard_files(folder, table)
        except ValueError as error:
            raise SystemExit(str(error))

    return files


def true_masks(split, scored=True):
    """Input function: the masks on which a split, or the job's shard of it, is scored, or all that it has.

    A changed mask changes scores, and nothing else. The tens of thousands that are drawn from the annotations of COCO
    are left out: the manifest, which all scoring reads too, names a folder of its own for each state of these.
    """
    if study.dataset.kind == "coco":
        return []
    counts = "scored" if split == "train" and scored else "mask"

    def files(wildcards):
        shard = wildcards.get("shard")
        with open(checkpoints.prepare_dataset.get().output.manifest, encoding="utf-8") as table:
            next(table)  # the classes
            rows = list(csv.DictReader(table, delimiter="\t"))
        found = [row for row in rows if row["split"] == split and row[counts]]
        count = study.shards[split]
        return [row["mask"] for row in found if shard is None or shard_of(row["id"], count) == int(shard)]

    return files


def masks_and_truth(artifact, splits):
    """Input functions for scoring: per split the shards of an artifact, `train` or `val`, and the true masks."""
    shards = {split: all_shards(f"<results>/{artifact}/{{split}}/{{shard}}.h5", split) for split in splits}
    return {**shards, **{f"{split}_truth": true_masks(split) for split in splits}}


def segmentation_of(split):
    """Input functions for a gallery: predictions and their scores, if the study segments the split."""
    if split not in study.segmentation.splits:
        return {}
    predictions = all_shards("<results>/segmentation/{split}/{shard}.h5", split)
    return {"predictions": predictions, "predictions_table": result("<results>/scores/segmentation.tsv")}


def of_test(files):
    """Input function: `files`, or an error if the study has no test images."""

    def found(wildcards):
        if "test" not in study.splits:
            raise SystemExit(
                "voc_submission needs the test images of VOC 2012, dataset: {kind: voc12, test: true}; "
                f"the dataset of this study is of kind {study.dataset.kind}, without them"
            )
        return files(wildcards)

    return found


def scores_within():
    """Input functions: the scores of later rounds and of full supervision, with the prefix of their rules."""
    of_rounds = [
        (inner, artifact) for inner in rounds for artifact in ("cams", "random_walk", "segmentation")
    ]
    return {
        f"{inner.prefix}{artifact}": result(f"{inner.study.folder}/scores/{artifact}.json")
        for inner, artifact in [*of_rounds, *((inner, "segmentation") for inner in bound)]
    }


def files_of_round(later):
    """What a later round has for people: scores, masks, alarms and pages."""
    pages = ["scores.html", "quality.html", "train_best.html", "val_best.html"]
    shown = [*pages, *(f"{network}.png" for network in later.trained_networks)]
    return [
        *(f"{later.folder}/scores/{artifact}.json" for artifact in later.scored_artifacts),
        *(f"{later.folder}/masks/random_walk/{split}/index.tsv" for split in later.refined_splits),
        *(f"{later.folder}/masks/segmentation/{split}/index.tsv" for split in later.segmentation.splits),
        f"{later.folder}/health.json",
        *(f"{later.folder}/report/{file}" for file in shown),
    ]


def results_of_earlier_rounds(wildcards):
    """Input function: pseudo masks, predictions and their scores of the rounds before the last."""
    checkpoints.prepare_dataset.get()
    before = [study, *(inner.study for inner in rounds[:-1])] if rounds else []
    files = []
    for earlier in before:
        splits = {"random_walk": earlier.refined_splits, "segmentation": earlier.segmentation.splits}
        for stage in splits:
            files.append(f"{earlier.folder}/scores/{stage}.tsv")
            for split in splits[stage]:
                files += expand(f"{earlier.folder}/{stage}/{{split}}/{{shard}}.h5", **shards_of(split))
    return files
