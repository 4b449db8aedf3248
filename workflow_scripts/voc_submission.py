"""The masks of the test images in an archive for the evaluation server of PASCAL VOC."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_masks
from wsss.runtime import progress
from wsss.stages.job import Stage
from wsss.stages.voc_submission import write_submission

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake):
    sizes = {row.id: (row.height, row.width) for row in Manifest.read(snakemake.input.images)}
    with open_shards(snakemake.input.masks, read_masks) as masks:
        write_submission(Path(snakemake.output.archive), progress(masks.items(), len(masks)), sizes)
