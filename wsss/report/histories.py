"""The curves of a study's trainings as figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wsss.report.figures import plot_history, write_figure

TITLES = {
    "classifier": "Classifier",
    "affinitynet": "AffinityNet",
    "irnet": "IRNet",
    "segmenter": "Segmentation network",
}


def write_histories(
    figures: Mapping[str, Path | str],
    histories: Mapping[str, Mapping[str, Any]],
    classifier_scores: Mapping[str, Any] | None = None,
) -> None:
    """Draw the history of each network.

    Args:
        figures: PNG files to write, by network.
        histories: columns of the history, see `read_history`, by network.
        classifier_scores: content of `scores/classifier.json`, for a note on the classifier's figure.
    """
    notes = {"classifier": _note(classifier_scores)} if classifier_scores else {}
    for network, history in histories.items():
        write_figure(figures[network], plot_history(history, TITLES[network], notes.get(network, "")))


def _note(scores: Mapping[str, Any]) -> str:
    return f"mAP {100 * scores['map']:.1f} % on {scores['scored_images']} images of {scores['split']}"
