"""Figures of the IoU per class and of the background of the CAMs, and a page of all scores."""

from typing import TYPE_CHECKING

from wsss.report.figures import pictures, plot_backgrounds, plot_scores, score_table, write_figure, write_page
from wsss.report.health import health_notice
from wsss.results import read_json
from wsss.stages.job import Job, run
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Draw and tabulate the scores of all stages."""
    files = dict(job.input.items())
    health = health_notice(read_json(files.pop("health")))
    metrics = {artifact: read_json(path) for artifact, path in files.items()}
    write_figure(job.output.classes, plot_scores(metrics))
    write_figure(job.output.backgrounds, plot_backgrounds(metrics["cams"], metrics["random_walk"]))
    figures = pictures(job.output.classes, job.output.backgrounds)
    write_page(job.output.page, "Scores", health, figures, score_table(metrics))


if "snakemake" in globals():
    run(main, snakemake)
