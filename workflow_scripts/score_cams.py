"""Scores of the CAMs of train, and of the CAMs refined by the dense CRF where the study uses it."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_cams, write_confusions, write_json
from wsss.stages.job import Job, run
from wsss.stages.scores.cams import score_study_cams
from wsss.study.params import ScoreCams

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[ScoreCams]) -> None:
    """Score the CAMs at the best constant background and at several alpha."""
    images = Manifest.read(job.input.images)
    with open_shards(job.input.cams, read_cams) as cams:
        scored = score_study_cams(images, cams, job.params.dense_crf, job.threads)
    write_json(job.output.metrics, scored.metrics)
    write_confusions(job.output.table, scored.images)
    if refined_table := job.output.get("refined_table"):
        write_confusions(refined_table, scored.refined)


if "snakemake" in globals():
    run(main, snakemake)
