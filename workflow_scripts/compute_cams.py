"""CAMs of one shard of images."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.models.checkpoints import restore_classifier
from wsss.results import write_cams
from wsss.runtime import progress
from wsss.stages.cams.classifier import compute_cams
from wsss.stages.job import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    compute = stage.compute
    model = compute.place(restore_classifier(snakemake.input.checkpoint))
    cams = compute_cams(model, images.rows, **stage.config["cam"], compute=compute)
    write_cams(snakemake.output.cams, progress(cams, len(images)))
