"""Affinities of one shard of images."""

from typing import TYPE_CHECKING

from wsss.artifacts import write_affinities
from wsss.checkpoints import restore_affinitynet
from wsss.datasets import Manifest
from wsss.inference import compute_affinities
from wsss.loading import Compute
from wsss.runtime import Stage, progress

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    compute = Compute.of(stage)
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
