"""The report to browse: a page with all figures and all images of the study."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.report.browser import THUMBNAILS, write_report
from wsss.stages.job import Job, run
from wsss.study.integrity import INDEX
from wsss.study.params import WriteReport

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[WriteReport]) -> None:
    """Write the page and, beside it, small pictures of all images."""
    page = write_report(Path(job.output.page).parents[1])
    job.wrote([page.with_name(THUMBNAILS) / INDEX])


if "snakemake" in globals():
    run(main, snakemake)
