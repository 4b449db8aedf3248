"""Unseen images with the network's best and its worst predictions."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.report.exhibits import best_and_worst, exhibits_of
from wsss.report.figures import pictures, plot_gallery, write_figure, write_page
from wsss.results import open_shards, read_masks
from wsss.stages.job import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage, open_shards(snakemake.input.masks, read_masks) as predictions:
    manifest, count = Manifest.read(snakemake.input.images), stage.config["report"]["gallery"]
    selections = best_and_worst(manifest, "val", predictions.__getitem__, count, "predictions")
    for figure, page, selection in zip(
        snakemake.output.figures, snakemake.output.pages, selections, strict=True
    ):
        write_figure(
            figure, plot_gallery(exhibits_of(selection, {"prediction": predictions}), *selection[1:])
        )
        write_page(page, selection.title, pictures(figure))
