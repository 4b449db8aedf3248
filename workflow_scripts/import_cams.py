"""CAMs of one shard of images, from the files of another system."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import write_cams
from wsss.runtime import progress, worker_count
from wsss.stages.cams.files import cam_files, import_cams
from wsss.stages.job import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    source, workers = stage.config["cam"]["source"], worker_count(stage.threads)
    files = cam_files(images.rows, source, stage.config["cam"]["folder"])
    stage.reads(files.values())
    cams = import_cams(images.rows, files, source=source, n_classes=len(images.classes), workers=workers)
    write_cams(snakemake.output.cams, progress(cams, len(images)))
