"""The bundle of the segmentation network."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.models.segmenter import restore_segmenter
from wsss.results import read_json, read_masks
from wsss.stages.bundle.writing import provenance_of, write_bundle
from wsss.stages.job import Job, run
from wsss.study.params import BundleSegmenter

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[BundleSegmenter]) -> None:
    """Write the bundle."""
    images, params = Manifest.read(job.input.images), job.params
    corrected = len(read_masks(job.input.corrected)) if job.input.corrected else 0
    provenance = provenance_of(params.name, Path(job.input.training), images, corrected, params.rounds)
    trained = restore_segmenter(job.input.checkpoint)
    scores = {"segmentation": read_json(job.input.segmentation)}
    write_bundle(Path(job.output.weights).parent, trained, params, provenance, scores)


if "snakemake" in globals():
    run(main, snakemake)
