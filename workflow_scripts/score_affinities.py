"""Affinity leak across true borders on train, and the walk's upper bound with true affinities."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import AffinityGrid, open_shards, read_affinities, read_cams, write_confusions, write_json
from wsss.stages.job import Job, run
from wsss.stages.scores.affinities import score_affinities
from wsss.stages.scores.truth import Truth
from wsss.stages.sweep.chosen import chosen_walk
from wsss.study.params import ScoreAffinities

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[ScoreAffinities]) -> None:
    """Measure what the affinities leak, and walk the same CAMs over true affinities."""
    truth = Truth(Manifest.read(job.input.images), "train")
    walk = job.settle("random_walk", chosen_walk(job.params.random_walk, job.input.get("chosen")))
    with (
        open_shards(job.input.cams, read_cams) as cams,
        open_shards(job.input.affinities, read_affinities) as affinities,
    ):
        grid = AffinityGrid.of(affinities)
        scored = score_affinities(truth, affinities, cams, grid=grid, walk=walk, device=job.device)
    write_json(job.output.metrics, scored.metrics)
    write_confusions(job.output.table, scored.images)


if "snakemake" in globals():
    run(main, snakemake)
