"""The bundle of AffinityNet."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.models.affinitynet import restore_affinitynet
from wsss.results import read_json
from wsss.stages.bundle.writing import provenance_of, write_bundle
from wsss.stages.job import Job, run
from wsss.stages.sweep.chosen import chosen_walk
from wsss.study.params import BundleAffinityNet

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[BundleAffinityNet]) -> None:
    """Write the bundle."""
    images = Manifest.read(job.input.images)
    walk = job.settle("random_walk", chosen_walk(job.params.random_walk, job.input.get("chosen")))
    params = job.params.model_copy(update={"random_walk": walk})
    provenance = provenance_of(params.name, Path(job.input.training), images)
    trained = restore_affinitynet(job.input.checkpoint)
    scores = {"affinities": read_json(job.input.affinities)}
    write_bundle(Path(job.output.weights).parent, trained, params, provenance, scores)


if "snakemake" in globals():
    run(main, snakemake)
