"""All points of the sweep, best first, and the overlay of the best."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.artifacts import read_json, replacing, write_json, write_table
from wsss.runtime import Stage
from wsss.sweep import gather, overlay, rank, table

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake):
    ranking = rank(*gather(map(read_json, snakemake.input.counts)))
    write_json(snakemake.output.points, ranking)
    write_table(snakemake.output.table, table(ranking))
    with replacing(snakemake.output.best) as temporary:
        Path(temporary).write_text(overlay(ranking, snakemake.output.best), encoding="utf-8")
