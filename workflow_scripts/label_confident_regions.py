"""Confident regions of one shard of CAMs."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from wsss.affinity import STRIDE
from wsss.artifacts import read_cams, write_masks
from wsss.confident import confident_labels, threshold_labels
from wsss.config import Confident
from wsss.datasets import ImageRow, Manifest
from wsss.inference import image_refinement
from wsss.loading import in_threads
from wsss.runtime import Stage, progress

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage, read_cams(snakemake.input.cams) as cams:
    images, dense_crf = Manifest.read(snakemake.input.images), stage.config.get("dense_crf")
    confident = Confident(**stage.config["confident"])
    decide = (
        partial(confident_labels, low_alpha=confident.low_alpha, high_alpha=confident.high_alpha)
        if confident.background == "power"
        else partial(
            threshold_labels,
            foreground=confident.foreground_threshold,
            background=confident.background_threshold,
        )
    )

    def label(row: ImageRow) -> tuple[str, NDArray[np.uint8]]:
        """Label an image's pixels."""
        scores, classes = cams[row.id]
        labels = decide(
            torch.from_numpy(scores).to(stage.device),
            torch.from_numpy(classes + 1),
            refine=image_refinement(row, dense_crf, stage.device) if dense_crf else None,
            pool=STRIDE if confident.pooling == "scores" else 1,
        )
        return row.id, labels.cpu().numpy()

    labels = in_threads(label, images.rows, stage.threads)
    write_masks(snakemake.output.labels, progress(labels, len(images)))
