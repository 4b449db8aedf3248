"""Pseudo masks of one shard: CAMs walked over affinities."""

from typing import TYPE_CHECKING

import torch

from wsss.data import ImageRow, Manifest
from wsss.data.loading import in_threads
from wsss.results import PseudoMask, read_affinities, read_cams, write_pseudo_masks
from wsss.runtime import progress
from wsss.stages.inference.refinement import image_refinement
from wsss.stages.job import Stage
from wsss.stages.random_walk import propagate_image
from wsss.study.config import RandomWalk

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with (
    Stage(snakemake) as stage,
    read_cams(snakemake.input.cams) as cams,
    read_affinities(snakemake.input.affinities) as affinities,
):
    images, dense_crf = Manifest.read(snakemake.input.images), stage.config.get("dense_crf")
    walk = RandomWalk(**stage.config["random_walk"])

    def propagate(row: ImageRow) -> tuple[str, PseudoMask]:
        """Walk an image's CAMs."""
        scores, classes = cams[row.id]
        boundary = affinities.boundary(row.id)
        return row.id, propagate_image(
            torch.from_numpy(affinities[row.id]).to(stage.device),
            torch.from_numpy(scores).to(stage.device),
            classes.tolist(),
            input_scale=affinities.input_scale,
            walk=walk,
            boundary=None if boundary is None else torch.from_numpy(boundary).to(stage.device),
            refine=image_refinement(row, dense_crf, stage.device) if dense_crf else None,
        )

    masks = in_threads(propagate, images.rows, stage.threads)
    write_pseudo_masks(snakemake.output.masks, progress(masks, len(images)))
