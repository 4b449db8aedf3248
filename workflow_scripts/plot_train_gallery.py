"""Training images with the best and the worst pseudo masks, and what each stage made of them."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.report.exhibits import best_and_worst, shown_of_train
from wsss.report.galleries import write_galleries
from wsss.stages.job import Job, run
from wsss.study.params import PlotGallery

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[PlotGallery]) -> None:
    """Show images of train beside CAMs, confident regions, pseudo masks and predictions."""
    manifest = Manifest.read(job.input.images)
    with shown_of_train(job.input.get, manifest) as shown:
        scored, count = shown.confusions["pseudo mask"], job.params.report.gallery
        selections = best_and_worst(manifest, "train", scored, count, "pseudo masks")
        write_galleries(job.output.figures, job.output.pages, selections, *shown)


if "snakemake" in globals():
    run(main, snakemake)
