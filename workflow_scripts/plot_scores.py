"""Figures of the IoU per class and of the background of the CAMs, and a page of all scores."""

from typing import TYPE_CHECKING

from wsss.report.figures import pictures, plot_backgrounds, plot_scores, score_table, write_figure, write_page
from wsss.results import read_json
from wsss.stages.job import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake):
    metrics = {artifact: read_json(path) for artifact, path in snakemake.input.items()}
    classes, backgrounds = snakemake.output.classes, snakemake.output.backgrounds
    write_figure(classes, plot_scores(metrics))
    write_figure(backgrounds, plot_backgrounds(metrics["cams"], metrics["random_walk"]))
    write_page(snakemake.output.page, "Scores", pictures(classes, backgrounds), score_table(metrics))
