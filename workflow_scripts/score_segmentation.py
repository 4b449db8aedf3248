"""Scores of the segmentation network on val, and on train where the study segments it too."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_masks, write_confusions, write_json
from wsss.stages.job import Job, run
from wsss.stages.scores.masks import score_splits
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Score the masks of the segmentation network."""
    images = Manifest.read(job.input.images)
    shards = {split: job.input.get(split) for split in ("val", "train")}
    with ExitStack() as stack:
        masks = {
            split: stack.enter_context(open_shards(of, read_masks)) for split, of in shards.items() if of
        }
        scored = score_splits(images, masks)
    write_json(job.output.metrics, scored.metrics)
    write_confusions(job.output.table, scored.images)


if "snakemake" in globals():
    run(main, snakemake)
