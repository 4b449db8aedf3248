"""Scores of the classifier on val."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.models.checkpoints import restore_classifier
from wsss.results import write_json
from wsss.stages.job import Stage
from wsss.stages.scores import score_classifier

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    images = Manifest.read(snakemake.input.images)
    compute = stage.compute
    model = compute.place(restore_classifier(snakemake.input.checkpoint))
    write_json(snakemake.output.metrics, score_classifier(model, images, compute))
