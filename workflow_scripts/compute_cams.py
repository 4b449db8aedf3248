"""CAMs of one shard of images."""

from typing import TYPE_CHECKING

from wsss.artifacts import write_cams
from wsss.checkpoints import restore_classifier
from wsss.datasets import Manifest
from wsss.inference import compute_cams
from wsss.loading import Compute
from wsss.runtime import Stage, progress

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    compute = Compute.of(stage)
    model = compute.place(restore_classifier(snakemake.input.checkpoint))
    cams = compute_cams(model, images.rows, **stage.config["cam"], compute=compute)
    write_cams(snakemake.output.cams, progress(cams, len(images)))
