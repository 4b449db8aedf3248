"""Scores of the CAMs of train, and of the CAMs refined by the dense CRF where the study uses it."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_cams, write_json
from wsss.stages.inference.refinement import Refine, image_refinement
from wsss.stages.job import Stage
from wsss.stages.scores import Truth, score_cams, score_refined_cams

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage, open_shards(snakemake.input.cams, read_cams) as cams:
    images = Manifest.read(snakemake.input.images)
    truth = Truth(images, "train")
    scores = score_cams(truth, cams)
    if "dense_crf" in stage.config and len(truth):
        rows = {row.id: row for row in images.rows}

        def refinement(image_id: str) -> Refine:
            """Make the dense CRF of an image."""
            return image_refinement(rows[image_id], stage.config["dense_crf"])

        around_best = [scores["constant"] + step for step in (-0.05, 0.0, 0.05)]
        scores["dense_crf"] = score_refined_cams(truth, cams, refinement, around_best, stage.threads)
    write_json(snakemake.output.metrics, scores)
