"""Scores of rounds and of full supervision, as the report and the summary show them."""

from __future__ import annotations

from typing import Any

import pytest

from wsss.report.rounds import of_inner, scores_of_rounds, share_of_full, share_sentence


def scored(miou: float, train: float | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"miou": miou, "scored_images": 3}
    return found if train is None else found | {"train": {"miou": train, "scored_images": 2}}


METRICS = {
    "cams": scored(0.4),
    "random_walk": scored(0.5),
    "segmentation": scored(0.52, 0.55),
    "round2_cams": scored(0.55),
    "round2_random_walk": scored(0.57),
    "round2_segmentation": scored(0.6),
    "full_segmentation": scored(0.8, 0.9),
}


def test_rounds_come_in_order_and_full_supervision_last() -> None:
    first, second, full = scores_of_rounds(METRICS)
    assert first == ("round 1", 0.4, 0.5, 0.55, 0.52)
    assert second == ("round 2", 0.55, 0.57, None, 0.6)
    assert full == ("full supervision", None, None, 0.9, 0.8)


def test_the_share_is_that_of_the_last_round() -> None:
    assert share_of_full(scores_of_rounds(METRICS)) == pytest.approx(0.75)
    assert "75.0 %" in share_sentence(scores_of_rounds(METRICS))


@pytest.mark.parametrize("missing", ["full_segmentation", "val"])
def test_without_one_of_both_there_is_no_share(missing: str) -> None:
    metrics = {name: found for name, found in METRICS.items() if name != missing}
    if missing == "val":
        metrics["round2_segmentation"] = {"miou": None, "scored_images": 0}
    assert share_of_full(scores_of_rounds(metrics)) is None
    assert share_sentence(scores_of_rounds(metrics)) == ""


def test_a_study_of_one_round_has_one_line() -> None:
    names = ("cams", "random_walk", "segmentation")
    assert len(scores_of_rounds({name: METRICS[name] for name in names})) == 1


def test_scores_of_rounds_are_told_from_those_of_the_study() -> None:
    inner = {name for name in [*METRICS, "classifier", "confident", "affinities"] if of_inner(name)}
    assert inner == {name for name in METRICS if name.startswith(("round2_", "full_"))}
