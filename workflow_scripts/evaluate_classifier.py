"""Scores of the classifier on val."""

from typing import TYPE_CHECKING

from wsss.artifacts import write_json
from wsss.checkpoints import restore_classifier
from wsss.datasets import Manifest
from wsss.evaluation import score_classifier
from wsss.loading import Compute
from wsss.runtime import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    compute = Compute.of(stage)
    model = compute.place(restore_classifier(snakemake.input.checkpoint))
    write_json(snakemake.output.metrics, score_classifier(model, images, compute))
