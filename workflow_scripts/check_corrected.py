"""The corrected masks of train, checked before any training."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import write_masks
from wsss.stages.corrected import corrected_masks
from wsss.stages.job import Job, run
from wsss.study.params import CheckCorrected

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[CheckCorrected]) -> None:
    """Read and check the masks, and keep them in one file."""
    images, files = Manifest.read(job.input.images), [Path(file) for file in job.input.files]
    folder = Path(job.params.corrected or "")
    write_masks(job.output.masks, corrected_masks(folder, files, images))


if "snakemake" in globals():
    run(main, snakemake)
