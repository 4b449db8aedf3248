"""Affinities of one shard of images."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.models.checkpoints import restore_affinitynet
from wsss.results import write_affinities
from wsss.runtime import progress
from wsss.stages.affinities.network import compute_affinities
from wsss.stages.job import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    compute = stage.compute
    model = compute.place(restore_affinitynet(snakemake.input.checkpoint))
    input_scale = stage.config["affinitynet"]["input_scale"]
    affinities = compute_affinities(
        model, images.rows, input_scale=input_scale, flip=stage.config["affinity"]["flip"], compute=compute
    )
    write_affinities(
        snakemake.output.affinities,
        progress(affinities, len(images)),
        radius=model.radius,
        input_scale=input_scale,
    )
