"""Curves of the trainings."""

from typing import TYPE_CHECKING

from wsss.report.figures import plot_history, write_figure
from wsss.results import read_history, read_json
from wsss.stages.job import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake):
    notes, titles = {}, {"affinitynet": "AffinityNet", "segmenter": "Segmentation network"}
    if snakemake.input.reached:
        titles = {"classifier": "Classifier", **titles}
        reached = read_json(snakemake.input.reached)
        images = f"{reached['scored_images']} images of {reached['split']}"
        notes["classifier"] = f"mAP {100 * reached['map']:.1f} % on {images}"
    for network, title in titles.items():
        if path := snakemake.input.get(network):
            figure = plot_history(read_history(path), title, notes.get(network, ""))
            write_figure(snakemake.output.get(network), figure)
