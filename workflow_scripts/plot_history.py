"""Curves of the trainings."""

from typing import TYPE_CHECKING

from wsss.report.histories import write_histories
from wsss.results import read_history, read_json
from wsss.stages.job import Job, run
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Draw loss and learning rate of each training of the study."""
    files = dict(job.input.items())
    reached = files.pop("reached")
    histories = {network: read_history(path) for network, path in files.items()}
    figures = {network: job.output.get(network) for network in histories}
    write_histories(figures, histories, read_json(reached) if reached else None)


if "snakemake" in globals():
    run(main, snakemake)
