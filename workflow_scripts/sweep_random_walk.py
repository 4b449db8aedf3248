"""Counts of one shard at all points of one beta: CAMs and affinities as they are, no network."""

from typing import TYPE_CHECKING

import torch

from wsss.data import ImageRow, Manifest
from wsss.data.loading import in_threads
from wsss.results import read_affinities, read_cams, read_masks, write_json
from wsss.runtime import progress
from wsss.stages.job import Stage
from wsss.stages.sweep import Grid, Tally, read_pixels, sweep_image, swept_rows, tally_image, total

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with (
    Stage(snakemake) as stage,
    read_cams(snakemake.input.cams) as cams,
    read_affinities(snakemake.input.affinities) as affinities,
    read_masks(snakemake.input.labels) as labels,
):
    manifest = Manifest.read(snakemake.input.manifest)
    rows = swept_rows(manifest, Manifest.read(snakemake.input.images))
    beta = float(snakemake.wildcards.beta)
    grid = Grid.of({**stage.config["sweep"], **stage.config["random_walk"], "beta": beta})
    classes = ["background", *manifest.classes]

    def sweep(row: ImageRow) -> Tally:
        """Count one image."""
        scores, given = cams[row.id]
        stencil, maps = torch.from_numpy(affinities[row.id]), torch.from_numpy(scores)
        known, boundary = read_pixels(row, labels[row.id]), affinities.boundary(row.id)
        counts = sweep_image(stencil, maps, known, boundary, input_scale=affinities.input_scale, grid=grid)
        return tally_image(counts, known, given.tolist(), len(classes))

    tallies = progress(in_threads(sweep, rows, stage.threads), len(rows))
    counted = total(tallies, grid, len(classes)).as_json()
    write_json(snakemake.output.counts, {"classes": classes, "grid": grid._asdict(), "counts": counted})
