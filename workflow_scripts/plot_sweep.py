"""Maps and curves of the sweep, and a page with them and the best points."""

from typing import TYPE_CHECKING

from wsss.report.figures import pictures, plot_sweep, sweep_table, write_figure, write_page
from wsss.results import read_json
from wsss.stages.job import Job, run
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Draw beta over t, and the curves of the backgrounds."""
    ranking, finished = read_json(job.input.points), read_json(job.input.finished)
    write_figure(job.output.figure, plot_sweep(ranking))
    write_page(job.output.page, "Sweep", pictures(job.output.figure), sweep_table(ranking, finished))


if "snakemake" in globals():
    run(main, snakemake)
