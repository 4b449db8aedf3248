"""What the affinities of train leak, and how far the walk could get without."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_affinities, read_cams, write_json
from wsss.stages.job import Stage
from wsss.stages.scores import Truth, score_affinities
from wsss.study.config import RandomWalk

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with (
    Stage(snakemake) as stage,
    open_shards(snakemake.input.cams, read_cams) as cams,
    open_shards(snakemake.input.affinities, read_affinities) as affinities,
):
    truth = Truth(Manifest.read(snakemake.input.images), "train")
    scores = score_affinities(
        truth,
        affinities,
        cams,
        input_scale=stage.config["affinitynet"]["input_scale"],
        radius=stage.config["affinitynet"]["radius"],
        border=stage.config["affinitynet"]["border"],
        walk=RandomWalk(**stage.config["random_walk"]),
        device=stage.device,
    )
    write_json(snakemake.output.metrics, scores)
