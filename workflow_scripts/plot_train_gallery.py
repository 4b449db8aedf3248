"""Training images with the best and the worst pseudo masks, and what each stage made of them."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.method.labels import value_names
from wsss.report.exhibits import best_and_worst
from wsss.report.galleries import write_galleries
from wsss.results import open_shards, read_cams, read_confusions, read_masks
from wsss.stages.job import Job, run
from wsss.study.params import PlotGallery

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[PlotGallery]) -> None:
    """Show images of train beside CAMs, confident regions, pseudo masks and predictions."""
    manifest = Manifest.read(job.input.images)
    headings = {"labels": "confident", "masks": "pseudo mask", "predictions": "prediction"}
    tables = {heading: job.input.get(f"{name}_table") for name, heading in headings.items()}
    n_values = len(value_names(manifest.class_names))
    confusions = {heading: read_confusions(path, n_values) for heading, path in tables.items() if path}
    with ExitStack() as stack:
        cams = stack.enter_context(open_shards(job.input.cams, read_cams))
        masks = {
            heading: stack.enter_context(open_shards(shards, read_masks))
            for name, heading in headings.items()
            if (shards := job.input.get(name))
        }
        scored, count = confusions["pseudo mask"], job.params.report.gallery
        selections = best_and_worst(manifest, "train", scored, count, "pseudo masks")
        write_galleries(job.output.figures, job.output.pages, selections, masks, confusions, cams)


if "snakemake" in globals():
    run(main, snakemake)
