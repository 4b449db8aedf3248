"""Masks of a split as palette PNGs, and their index."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.results import open_shards, read_masks, read_pseudo_masks
from wsss.runtime import progress
from wsss.stages.job import Stage
from wsss.stages.masks import export_masks

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake):
    index = Path(snakemake.output.index)
    if snakemake.wildcards.artifact == "random_walk":
        with open_shards(snakemake.input.masks, read_pseudo_masks) as pseudo_masks:
            items = ((image_id, pseudo_masks[image_id].mask) for image_id in progress(pseudo_masks))
            export_masks(index, items)
    else:
        with open_shards(snakemake.input.masks, read_masks) as masks:
            export_masks(index, progress(masks.items(), len(masks)))
