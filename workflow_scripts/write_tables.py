"""The scores of the study beside the published ones."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.report.health import health_notice
from wsss.report.tables import scored_results, write_tables
from wsss.results import read_json
from wsss.stages.job import Job, run
from wsss.stages.sweep.chosen import chosen_walk
from wsss.study.params import WriteTables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[WriteTables]) -> None:
    """Set the scores beside the paper's tables, and name the protocol."""
    metrics = {name: read_json(job.input.get(name)) for name in ("cams", "random_walk", "segmentation")}
    walk = job.settle("random_walk", chosen_walk(job.params.random_walk, job.input.get("chosen")))
    params = job.params.model_copy(update={"random_walk": walk})
    folder = Path(job.output.page).parent
    published = (Path(job.input.published), Path(job.input.stages))
    health = health_notice(read_json(job.input.health))
    write_tables(folder, folder.parent.name, scored_results(metrics, params), published, health)


if "snakemake" in globals():
    run(main, snakemake)
