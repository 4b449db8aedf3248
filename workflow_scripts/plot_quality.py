"""The pseudo masks to look at first: pictures, and a table of their signals."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.report.exhibits import exhibits_of, first_of, shown_of_train
from wsss.report.figures import pictures, plot_gallery, quality_table, write_figure, write_page
from wsss.results import read_json, read_ranking
from wsss.stages.job import Job, run
from wsss.study.params import PlotGallery

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[PlotGallery]) -> None:
    """Show them beside CAMs, confident regions and predictions, and beside the truth where there is one."""
    manifest, ranking = Manifest.read(job.input.images), read_ranking(job.input.ranking)
    selection = first_of(manifest, [image.image for image in ranking], job.params.report.gallery)
    with shown_of_train(job.input.get, manifest) as shown:
        exhibits = exhibits_of(selection, *shown)
    write_figure(
        job.output.figure,
        plot_gallery(exhibits, selection.value_names, selection.title, selection.subtitle),
    )
    table = quality_table(ranking, read_json(job.input.scores))
    write_page(job.output.page, selection.title, pictures(job.output.figure), table)


if "snakemake" in globals():
    run(main, snakemake)
