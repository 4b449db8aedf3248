"""Curves of the three trainings."""

from typing import TYPE_CHECKING

from wsss.artifacts import read_history, read_json
from wsss.figures import plot_history, write_figure
from wsss.runtime import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake):
    reached = read_json(snakemake.input.reached)
    note = f"mAP {100 * reached['map']:.1f} % on {reached['scored_images']} images of {reached['split']}"
    trainings = {
        "classifier": ("Classifier", note),
        "affinitynet": ("AffinityNet", ""),
        "segmenter": ("Segmentation network", ""),
    }
    for network, words in trainings.items():
        history = read_history(snakemake.input.get(network))
        write_figure(snakemake.output.get(network), plot_history(history, *words))
