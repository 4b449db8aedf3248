"""The pseudo masks to look at first: pictures, and a table of their signals."""

from contextlib import ExitStack
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.method.labels import value_names
from wsss.report.exhibits import exhibits_of, first_of
from wsss.report.figures import pictures, plot_gallery, quality_table, write_figure, write_page
from wsss.results import open_shards, read_cams, read_confusions, read_json, read_masks, read_ranking
from wsss.stages.job import Job, run
from wsss.study.params import PlotGallery

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[PlotGallery]) -> None:
    """Show them beside CAMs, confident regions and predictions, and beside the truth where there is one."""
    manifest, ranking = Manifest.read(job.input.images), read_ranking(job.input.ranking)
    headings = {"labels": "confident", "masks": "pseudo mask", "predictions": "prediction"}
    tables = {heading: job.input.get(f"{name}_table") for name, heading in headings.items()}
    n_values = len(value_names(manifest.class_names))
    confusions = {heading: read_confusions(path, n_values) for heading, path in tables.items() if path}
    selection = first_of(manifest, [image.image for image in ranking], job.params.report.gallery)
    with ExitStack() as stack:
        cams = stack.enter_context(open_shards(job.input.cams, read_cams))
        masks = {
            heading: stack.enter_context(open_shards(shards, read_masks))
            for name, heading in headings.items()
            if (shards := job.input.get(name))
        }
        exhibits = exhibits_of(selection, masks, confusions, cams)
    write_figure(
        job.output.figure,
        plot_gallery(exhibits, selection.value_names, selection.title, selection.subtitle),
    )
    table = quality_table(ranking, read_json(job.input.scores))
    write_page(job.output.page, selection.title, pictures(job.output.figure), table)


if "snakemake" in globals():
    run(main, snakemake)
