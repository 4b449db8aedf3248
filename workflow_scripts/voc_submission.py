"""The masks of the test images in an archive for the evaluation server of PASCAL VOC."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.artifacts import open_shards, read_masks
from wsss.datasets import Manifest
from wsss.runtime import Stage, progress
from wsss.voc_submission import write_submission

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake):
    sizes = {row.id: (row.height, row.width) for row in Manifest.read(snakemake.input.images)}
    with open_shards(snakemake.input.masks, read_masks) as masks:
        write_submission(Path(snakemake.output.archive), progress(masks.items(), len(masks)), sizes)
