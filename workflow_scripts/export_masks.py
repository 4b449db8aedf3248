"""Masks of a split as palette PNGs, and their index."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_masks
from wsss.runtime.console import progress
from wsss.stages.job import Job, run
from wsss.stages.masks import export_masks
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Write one PNG per image, and the index last."""
    images = Manifest.read(job.input.images)
    files = {row.id: row.image for row in images}
    with open_shards(job.input.masks, read_masks) as masks:
        shown = progress(masks.items(), len(masks))
        export_masks(Path(job.output.index).parent, shown, files, images.class_names)


if "snakemake" in globals():
    run(main, snakemake)
