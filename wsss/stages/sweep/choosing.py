"""The choice of the values that say `auto` in the random walk: widen, finish the first points, take one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from wsss.data import Manifest
from wsss.method.labels import value_names
from wsss.runtime.console import progress
from wsss.stages.sweep.choice import candidates, widened
from wsss.stages.sweep.finish import ShardResults, finish_images, single
from wsss.stages.sweep.pixels import swept_rows
from wsss.stages.sweep.points import KEYS, Grid, Point, Row, best_first
from wsss.stages.sweep.ranking import MIOU, gather, rank
from wsss.stages.sweep.shard import sweep_shard
from wsss.stages.sweep.tally import Tally, total
from wsss.stages.sweep.usual import COLUMN, near_usual
from wsss.study.params import ChooseRandomWalk

FINALISTS = 5
"""Points that are finished with the dense CRF, where masks can tell which is the best then.

It costs a hundred times as much as a point of a sweep.
"""

FINISHED_IMAGES = 150
"""The most images on which they are: enough to tell points that differ by a point of mIoU."""

Shard = tuple[Manifest, ShardResults]

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
    alone, *finished = _finish(finalists, manifest, shards, params, threads)
    compared = [
        _columns(point) | {"swept": point[criterion], "finished": row[criterion]}
        for point, row in zip(finalists, finished, strict=True)
    ]
    best = best_first(compared, "finished")[0]
    result = {
        "criterion": criterion,
        "section": _section(best, walk.chosen_keys),
        "score": best["finished"],
        "score_of_cams": alone[criterion],
        "dense_crf": params.dense_crf is not None,
        "images": alone["images"],
        "swept_images": ranking["images"],
        "points": len(points),
        "widened": added,
        "finalists": compared,
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


def _columns(point: Row) -> Row:
    return {key: point[key] for key in KEYS}


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


def _finish(
    points: Sequence[Row], manifest: Manifest, shards: Sequence[Shard], params: ChooseRandomWalk, threads: int
) -> list[Row]:
    """Score the CAMs, and the finished masks of points, on the same images."""
    names, tolerance = value_names(manifest.class_names), params.random_walk.tolerance
    walks = [Point.of(point).walk(params.random_walk) for point in points]
    share = -(-FINISHED_IMAGES // len(shards))
    limit = share if params.images is None else min(share, params.images)
    tallies: list[list[Tally]] = []
    for images, results in shards:
        chosen = swept_rows(manifest, images, limit)
        counted = finish_images(chosen, results, walks, params.dense_crf, len(names), threads)
        tallies += progress(counted, len(chosen))
    grids = [single(Point.of(point), tolerance) for point in (points[0], *points)]
    scored: list[Row] = []
    for place, grid in enumerate(grids):
        ranking = rank(names, [(grid, total((of[place] for of in tallies), grid, len(names)))])
        scored.append(ranking["points"][0] | {"images": ranking["images"]})
    return scored
