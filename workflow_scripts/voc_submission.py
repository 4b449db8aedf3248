"""The masks of the test images in an archive for the evaluation server of PASCAL VOC."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_masks
from wsss.runtime.console import progress
from wsss.stages.job import Job, run
from wsss.stages.voc_submission import write_submission
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Pack the masks of the test images."""
    sizes = {row.id: (row.height, row.width) for row in Manifest.read(job.input.images)}
    with open_shards(job.input.masks, read_masks) as masks:
        write_submission(Path(job.output.archive), progress(masks.items(), len(masks)), sizes)


if "snakemake" in globals():
    run(main, snakemake)
