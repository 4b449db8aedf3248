"""The choice of the values that say `auto` in the random walk: widen, finish the first points, take one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from wsss.data import Manifest
from wsss.stages.sweep.choice import candidates, widened
from wsss.stages.sweep.finalists import FINALISTS, Shard, finish_points
from wsss.stages.sweep.points import Grid, Row, best_first
from wsss.stages.sweep.ranking import MIOU, gather, rank
from wsss.stages.sweep.shard import sweep_shard
from wsss.stages.sweep.usual import COLUMN, near_usual
from wsss.study.params import ChooseRandomWalk

CHOSEN_ON = 150
"""The most images on which they are finished: enough to tell points that differ by a point of mIoU."""

logger = logging.getLogger(__name__)


def choose(
    ranking: Mapping[str, Any],
    manifest: Manifest,
    shards: Sequence[Shard],
    params: ChooseRandomWalk,
    threads: int = 1,
) -> dict[str, Any]:
    """Choose the values of the random walk that say `auto`.

    Args:
        ranking: the content of `sweep/points.json`.
        manifest: the whole data set, with its masks.
        shards: images of train, and what earlier stages made of them.
        params: the random walk, and the dense CRF if it refines the masks.
        threads: the most images at once.

    Returns:
        The content of `sweep/chosen.json`: `section`, the keys of `random_walk` that are chosen, the
        criterion, and the points among which it was.

    Raises:
        ValueError: no point has the values that the walk writes.
    """
    walk, criterion = params.random_walk, ranking["criterion"]
    sweep = partial(_sweep, manifest, shards, params.images, threads)
    points = candidates(ranking["points"], walk)
    if criterion == MIOU:
        points, added = widened(points, walk, criterion, sweep)
        finalists = points[: FINALISTS if params.dense_crf else 1]
    else:  # without masks, what lies far from the usual values is not trusted, however well it is ranked
        near = near_usual(points, walk.chosen_keys, ranking["usual_steps"])
        points, added = best_first(near, criterion), {}
        finalists = points[:1]
    finished = finish_points(
        finalists,
        criterion,
        manifest,
        shards,
        walk=walk,
        dense_crf=params.dense_crf,
        limit=CHOSEN_ON,
        per_shard=params.images,
        threads=threads,
    )
    result = {
        "criterion": criterion,
        "section": _section(finished.best, walk.chosen_keys),
        "score": finished.best["finished"],
        "score_of_cams": finished.alone,
        "dense_crf": params.dense_crf is not None,
        "images": finished.images,
        "swept_images": ranking["images"],
        "points": len(points),
        "widened": added,
        "finalists": finished.points,
    }
    sentence = describe(result)
    logger.info("%s", sentence)
    return result | {"sentence": sentence}


def describe(result: Mapping[str, Any]) -> str:
    """Say in a sentence what was chosen, and by how much."""
    walk: dict[str, Any] = dict(result["section"])
    background: dict[str, Any] = walk.pop("background", {})
    values = {**background, **walk}
    chosen = ", ".join(f"{key} {value:g}" for key, value in values.items() if key != "kind")
    kind = "mIoU" if result["criterion"] == MIOU else "label-free score"
    score, alone = (100 * result[name] for name in ("score", "score_of_cams"))
    return (
        f"chosen of {result['points']} points: {chosen}; {kind} {score:.1f} % on {result['images']} images, "
        f"{score - alone:+.1f} against the CAMs without a walk"
    )


def _section(point: Row, keys: Sequence[str]) -> dict[str, Any]:
    """Return the chosen keys as `random_walk` has them, the background with its kind."""
    own: dict[str, Any] = {key: point[COLUMN[key]] for key in keys}
    background: dict[str, Any] = {key: own.pop(key) for key in ("alpha", "score") if key in own}
    nested: dict[str, Any] = {"kind": point["background"], **background}
    return {"background": nested, **own} if background else own


def _sweep(
    manifest: Manifest, shards: Sequence[Shard], limit: int | None, threads: int, grid: Grid
) -> Sequence[Row]:
    """Sweep a further grid over all shards."""
    swept = [sweep_shard(manifest, images, *results, grid, threads, limit) for images, results in shards]
    points: Sequence[Row] = rank(*gather(swept))["points"]
    return points
