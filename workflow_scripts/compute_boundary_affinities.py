"""Affinities of one shard of images, from the boundary maps of another system."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import write_affinities
from wsss.runtime import progress, worker_count
from wsss.stages.affinities.boundary import boundary_files, compute_boundary_affinities
from wsss.stages.job import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    grid = {key: stage.config["affinitynet"][key] for key in ("input_scale", "radius")}
    files = boundary_files(images.rows, stage.config["affinity"]["boundaries"])
    stage.reads(files.values())
    affinities = compute_boundary_affinities(images.rows, files, **grid, workers=worker_count(stage.threads))
    write_affinities(snakemake.output.affinities, progress(affinities, len(images)), **grid)
