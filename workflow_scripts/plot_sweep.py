"""Maps and curves of the sweep, and a page with them and the best points."""

from typing import TYPE_CHECKING

from wsss.report.figures import pictures, plot_sweep, sweep_table, write_figure, write_page
from wsss.results import read_json
from wsss.stages.job import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake):
    ranking = read_json(snakemake.input.points)
    write_figure(snakemake.output.figure, plot_sweep(ranking))
    write_page(snakemake.output.page, "Sweep", pictures(snakemake.output.figure), sweep_table(ranking))
