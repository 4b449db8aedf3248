"""The first points of a sweep as the study would finish them, with the dense CRF, after which one is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from wsss.data import Manifest
from wsss.method.labels import value_names
from wsss.runtime.console import progress
from wsss.stages.sweep.finish import ShardResults, finish_images, single
from wsss.stages.sweep.pixels import swept_rows
from wsss.stages.sweep.points import KEYS, Point, Row, best_first
from wsss.stages.sweep.ranking import MIOU, rank
from wsss.stages.sweep.tally import Tally, total
from wsss.study.config import DenseCrf, RandomWalk
from wsss.study.params import FinishSweep

FINALISTS = 5
"""Points that are finished with the dense CRF, where masks can tell which is the best then.

It costs a hundred times as much as a point of a sweep.
"""

FINISHED_IMAGES = 500
"""The most images on which the command `sweep` finishes them: a minute for small photographs."""

NOT_FINISHED = "without the dense CRF: in a study with `refine: dense_crf` another point may be the best."

Shard = tuple[Manifest, ShardResults]


class Finished(NamedTuple):
    """Points of a sweep, as finished masks of the same images.

    Attributes:
        points: in the order given: the values of `KEYS`, and the criterion before (`swept`) and after
            (`finished`).
        alone: the criterion of the CAMs without a walk, over the background of the first point.
        images: number of images.
    """

    points: list[Row]
    alone: float
    images: int

    @property
    def best(self) -> Row:
        """The point with the best finished masks; of equal ones the first."""
        return best_first(self.points, "finished")[0]


def finish_points(
    points: Sequence[Row],
    criterion: str,
    manifest: Manifest,
    shards: Sequence[Shard],
    *,
    walk: RandomWalk,
    dense_crf: DenseCrf | None,
    limit: int,
    per_shard: int | None,
    threads: int = 1,
) -> Finished:
    """Score the CAMs, and the finished masks of points, on the same images.

    Args:
        points: of a sweep, one or more.
        criterion: the metric to take.
        manifest: the whole data set, with its masks.
        shards: images of train, and what earlier stages made of them.
        walk: what no point says of the random walk.
        dense_crf: refines all masks, if given.
        limit: the most images, the same number of each shard.
        per_shard: the most images of a shard that the sweep has seen; None for all.
        threads: the most images at once.
    """
    names = value_names(manifest.class_names)
    walks = [Point.of(point).walk(walk) for point in points]
    share = -(-limit // len(shards))
    share = share if per_shard is None else min(share, per_shard)
    tallies: list[list[Tally]] = []
    for images, results in shards:
        chosen = swept_rows(manifest, images, share)
        counted = finish_images(chosen, results, walks, dense_crf, len(names), threads)
        tallies += progress(counted, len(chosen))
    scored: list[float] = []
    for place, point in enumerate((points[0], *points)):
        grid = single(Point.of(point), walk.tolerance)
        ranking = rank(names, [(grid, total((of[place] for of in tallies), grid, len(names)))])
        scored.append(ranking["points"][0][criterion])
    alone, *finished = scored
    compared = [
        {key: point[key] for key in KEYS} | {"swept": point[criterion], "finished": score}
        for point, score in zip(points, finished, strict=True)
    ]
    return Finished(compared, alone, len(tallies))


def finish_sweep(
    ranking: Mapping[str, Any],
    manifest: Manifest,
    shards: Sequence[Shard],
    params: FinishSweep,
    threads: int = 1,
) -> dict[str, Any]:
    """Find the best point of a sweep as the study would finish it.

    Only masks can say which point is the best after the dense CRF: without them, or where the study does not
    refine its pseudo masks, it is the first of the ranking.

    Args:
        ranking: the content of `sweep/points.json`.
        manifest: the whole data set, with its masks.
        shards: images of train, and what earlier stages made of them.
        params: what no point says of the random walk, and the dense CRF if it refines the masks.
        threads: the most images at once.

    Returns:
        The content of `sweep/finished.json`: `section`, the best point as keys of `random_walk`, the
        criterion, its score and that of the CAMs without a walk, and the points that were finished, if any.
    """
    points, criterion = ranking["points"], ranking["criterion"]
    result: dict[str, Any] = {
        "criterion": criterion,
        "dense_crf": params.dense_crf is not None,
        "points": len(points),
        "swept_images": ranking["images"],
    }
    if params.dense_crf is None or criterion != MIOU:
        first = {"score": points[0][criterion], "score_of_cams": None, "images": ranking["images"]}
        return result | first | {"section": Point.of(points[0]).section, "finalists": []}
    walk = RandomWalk(tolerance=params.tolerance, padding=params.padding, normalize_on=params.normalize_on)
    finished = finish_points(
        points[:FINALISTS],
        criterion,
        manifest,
        shards,
        walk=walk,
        dense_crf=params.dense_crf,
        limit=FINISHED_IMAGES,
        per_shard=params.images,
        threads=threads,
    )
    return result | {
        "score": finished.best["finished"],
        "score_of_cams": finished.alone,
        "images": finished.images,
        "section": Point.of(finished.best).section,
        "finalists": finished.points,
    }


def overlay(finished: Mapping[str, Any]) -> str:
    """Write the best point as a file for `--configfile`, with how to use it.

    Args:
        finished: the content of `sweep/finished.json`.
    """
    finalists, images = len(finished["finalists"]), f"{finished['images']} images of train"
    how = f"with the dense CRF, given to the first {finalists} points without it; finished.json has them."
    value = (
        f"mIoU {100 * finished['score']:.1f} %" if finished["criterion"] == MIOU else "by label-free signals,"
    )
    section = {"random_walk": finished["section"]}
    return f"""\
# The best of {finished["points"]} points of `snakemake sweep`: {value} on {images}.
# Scored {how if finalists else NOT_FINISHED}
# To run the study with it, name this file after the study's own: `wsss summary` prints the whole command.
{yaml.safe_dump(section, sort_keys=False, default_flow_style=False)}"""
