"""Unseen images with the network's best and its worst predictions."""

from typing import TYPE_CHECKING

from wsss.artifacts import open_shards, read_masks
from wsss.datasets import Manifest
from wsss.exhibits import best_and_worst, exhibits_of
from wsss.figures import plot_gallery, write_figure
from wsss.runtime import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage, open_shards(snakemake.input.masks, read_masks) as predictions:
    manifest, count = Manifest.read(snakemake.input.images), stage.config["report"]["gallery"]
    selections = best_and_worst(manifest, "val", predictions.__getitem__, count, "predictions")
    for path, selection in zip((snakemake.output.best, snakemake.output.worst), selections, strict=True):
        exhibits = exhibits_of(selection, {"prediction": predictions})
        figure = plot_gallery(exhibits, selection.classes, selection.title, selection.subtitle)
        write_figure(path, figure)
