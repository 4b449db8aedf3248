"""The scores of the study beside the published ones."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.report.health import health_notice
from wsss.report.rounds import SCORED, scores_of_rounds
from wsss.report.tables import scored_results, write_tables
from wsss.results import read_json
from wsss.stages.job import Job, run
from wsss.stages.sweep.chosen import chosen_walk
from wsss.study.params import WriteTables

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[WriteTables]) -> None:
    """Set the scores beside the paper's tables, and name the protocol."""
    files = dict(job.input.items())
    metrics = {name: read_json(path) for name, path in files.items() if name.endswith(SCORED)}
    walk = job.settle("random_walk", chosen_walk(job.params.random_walk, job.input.get("chosen")))
    params = job.params.model_copy(update={"random_walk": walk})
    folder = Path(job.output.page).parent
    published = (Path(job.input.published), Path(job.input.stages))
    health = health_notice(read_json(job.input.health))
    results, rounds = scored_results(metrics, params), scores_of_rounds(metrics)
    write_tables(folder, folder.parent.name, results, published, rounds, health)


if "snakemake" in globals():
    run(main, snakemake)
