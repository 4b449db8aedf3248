"""Unseen images with the network's best and its worst predictions."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.method.labels import value_names
from wsss.report.exhibits import best_and_worst
from wsss.report.galleries import write_galleries
from wsss.results import open_shards, read_confusions, read_masks
from wsss.stages.job import Job, run
from wsss.study.params import PlotGallery

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[PlotGallery]) -> None:
    """Show images of val beside their predictions."""
    manifest = Manifest.read(job.input.images)
    scored = read_confusions(job.input.predictions_table, len(value_names(manifest.class_names)))
    selections = best_and_worst(manifest, "val", scored, job.params.report.gallery, "predictions")
    with open_shards(job.input.predictions, read_masks) as masks:
        write_galleries(
            job.output.figures, job.output.pages, selections, {"prediction": masks}, {"prediction": scored}
        )


if "snakemake" in globals():
    run(main, snakemake)
