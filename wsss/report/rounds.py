"""What each round of a study has gained, and how far its network is from full supervision.

It reads JSON alone and imports nothing heavy: the summary of a run is printed by the Snakefile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wsss.study.inner import FULL, ROUND

Metrics = Mapping[str, Any]
"""The content of one `scores/<artifact>.json`."""

SCORED = ("cams", "random_walk", "segmentation")
"""Of a round; of full supervision only the last."""


class RoundScores(NamedTuple):
    """mIoU in [0, 1] of a round, or of full supervision; None where nothing was scored.

    Attributes:
        name: "round 1", ..., or "full supervision".
        seeds: of the CAMs, or of what takes their place, with their best constant background, on train.
        pseudo_masks: on train.
        train, val: of the segmentation network.
    """

    name: str
    seeds: float | None
    pseudo_masks: float | None
    train: float | None
    val: float | None


def scores_of_rounds(metrics: Mapping[str, Metrics]) -> list[RoundScores]:
    """List the rounds, and full supervision at the end if it was scored.

    Args:
        metrics: by artifact, those of later rounds and of full supervision with the prefix of their rules,
            such as `round2_random_walk` and `full_segmentation`.
    """
    return list(_found(metrics))


def of_inner(artifact: str) -> bool:
    """Whether the scores under this name are of a later round, or of full supervision."""
    return artifact not in SCORED and artifact.endswith(SCORED)


def share_of_full(rounds: list[RoundScores]) -> float | None:
    """mIoU on val of the last round's network as a share of that under full supervision."""
    if len(rounds) < 2 or rounds[-1].name != FULL.name:
        return None
    weak, full = rounds[-2].val, rounds[-1].val
    return weak / full if weak is not None and full else None


def share_sentence(rounds: list[RoundScores]) -> str:
    """Say how far the network of the last round is from full supervision, if both were scored."""
    share = share_of_full(rounds)
    if share is None:
        return ""
    return (
        f"On val the segmentation network reaches {100 * share:.1f} % of the mIoU of the same network "
        "trained on true masks."
    )


def _found(metrics: Mapping[str, Metrics]) -> Iterator[RoundScores]:
    number, prefix = 1, ""
    while f"{prefix}segmentation" in metrics:
        yield _scores(f"round {number}", *(metrics.get(f"{prefix}{artifact}", {}) for artifact in SCORED))
        number += 1
        prefix = ROUND.format(number)
    if f"{FULL.prefix}segmentation" in metrics:
        yield _scores(FULL.name, {}, {}, metrics[f"{FULL.prefix}segmentation"])


def _scores(name: str, cams: Metrics, walked: Metrics, segmented: Metrics) -> RoundScores:
    train = segmented.get("train") or {}
    return RoundScores(name, *(_miou(found) for found in (cams, walked, train, segmented)))


def _miou(found: Metrics) -> float | None:
    miou: float | None = found["miou"] if found.get("scored_images") else None
    return miou
