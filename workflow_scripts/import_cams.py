"""CAMs of one shard of images, from the files of another system."""

from typing import TYPE_CHECKING

from wsss.artifacts import write_cams
from wsss.datasets import Manifest
from wsss.imports import cam_files, import_cams
from wsss.runtime import Stage, progress, worker_count

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    source, workers = stage.config["cam"]["source"], worker_count(stage.threads)
    files = cam_files(images.rows, source, stage.config["cam"]["folder"])
    stage.reads(files.values())
    cams = import_cams(images.rows, files, source=source, n_classes=len(images.classes), workers=workers)
    write_cams(snakemake.output.cams, progress(cams, len(images)))
