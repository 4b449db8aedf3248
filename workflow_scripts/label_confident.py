"""Confident regions of one shard of CAMs."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from wsss.data import ImageRow, Manifest
from wsss.data.loading import in_threads
from wsss.results import read_cams, write_masks
from wsss.runtime import progress
from wsss.stages.confident import label_image
from wsss.stages.inference.refinement import image_refinement
from wsss.stages.job import Stage
from wsss.study.config import Confident

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage, read_cams(snakemake.input.cams) as cams:
    images, dense_crf = Manifest.read(snakemake.input.images), stage.config.get("dense_crf")
    confident = Confident(**stage.config["confident"])

    def label(row: ImageRow) -> tuple[str, NDArray[np.uint8]]:
        """Label an image's pixels."""
        scores, classes = cams[row.id]
        labels = label_image(
            torch.from_numpy(scores).to(stage.device),
            classes.tolist(),
            confident,
            image_refinement(row, dense_crf, stage.device) if dense_crf else None,
        )
        return row.id, labels.cpu().numpy()

    labels = in_threads(label, images.rows, stage.threads)
    write_masks(snakemake.output.labels, progress(labels, len(images)))
