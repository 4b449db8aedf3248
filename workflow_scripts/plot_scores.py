"""All scores: IoU per class along the road, what the CAMs score at which background, and a table."""

from typing import TYPE_CHECKING

from wsss.artifacts import read_json, replacing
from wsss.figures import plot_backgrounds, plot_scores, score_table, write_figure
from wsss.runtime import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake):
    metrics = {artifact: read_json(path) for artifact, path in snakemake.input.items()}
    write_figure(snakemake.output.classes, plot_scores(metrics))
    write_figure(snakemake.output.backgrounds, plot_backgrounds(metrics["cams"], metrics["pseudo_masks"]))
    with replacing(snakemake.output.table) as temporary:
        temporary.write_text(score_table(metrics), encoding="utf-8")
