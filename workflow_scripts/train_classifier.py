"""The classifier, from images and image-level labels."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.config import Classifier
from wsss.datasets import Manifest
from wsss.loading import Compute
from wsss.provenance import file_digest
from wsss.runtime import Stage, worker_count
from wsss.training import Run, resume_path, train_classifier

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    run = Run(
        checkpoint=Path(snakemake.output.checkpoint),
        history=Path(snakemake.output.history),
        classes=images.classes,
        seed=stage.seed,
        compute=Compute(stage.device, stage.config["precision"], worker_count(stage.threads)),
        resume=resume_path(
            snakemake.output.checkpoint,
            stage.config,
            snakemake.params.code,
            [file_digest(path) for path in snakemake.input],
        ),
    )
    train_classifier(images.rows, Classifier(**stage.config["classifier"]), run)
