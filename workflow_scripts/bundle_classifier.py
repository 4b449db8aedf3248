"""The bundle of the classifier."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.models.classifier import restore_classifier
from wsss.results import read_json
from wsss.stages.bundle.writing import provenance_of, write_bundle
from wsss.stages.job import Job, run
from wsss.study.params import BundleClassifier

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[BundleClassifier]) -> None:
    """Write the bundle."""
    images, params = Manifest.read(job.input.images), job.params
    provenance = provenance_of(params.name, Path(job.input.training), images)
    trained = restore_classifier(job.input.checkpoint)
    scores = {"classifier": read_json(job.input.classifier)}
    write_bundle(Path(job.output.weights).parent, trained, params, provenance, scores)


if "snakemake" in globals():
    run(main, snakemake)
