"""All points of the sweep, best first, and the overlay of the best."""

from typing import TYPE_CHECKING

from wsss.results import read_json, write_json, write_table, write_text
from wsss.stages.job import Stage
from wsss.stages.sweep import gather, overlay, rank, table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake):
    ranking = rank(*gather(map(read_json, snakemake.input.counts)))
    write_json(snakemake.output.points, ranking)
    write_table(snakemake.output.table, table(ranking))
    write_text(snakemake.output.best, overlay(ranking, snakemake.output.best))
