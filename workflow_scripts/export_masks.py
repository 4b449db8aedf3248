"""Masks of a split as palette PNGs, and their index."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.artifacts import open_shards, read_masks, read_pseudo_masks
from wsss.export import export_masks
from wsss.runtime import Stage, progress

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake):
    index = Path(snakemake.output.index)
    if snakemake.wildcards.artifact == "pseudo_masks":
        with open_shards(snakemake.input.masks, read_pseudo_masks) as pseudo_masks:
            items = ((image_id, pseudo_masks[image_id].mask) for image_id in progress(pseudo_masks))
            export_masks(index, items)
    else:
        with open_shards(snakemake.input.masks, read_masks) as masks:
            export_masks(index, progress(masks.items(), len(masks)))
