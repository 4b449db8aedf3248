"""The sweep of one shard of images at all points of one beta."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wsss.data import ImageRow, Manifest
from wsss.data.loading import in_threads
from wsss.method.labels import value_names
from wsss.results import Affinities, AffinityGrid, Cams
from wsss.runtime.console import progress
from wsss.stages.sweep.images import sweep_image
from wsss.stages.sweep.pixels import read_pixels, swept_rows
from wsss.stages.sweep.points import Grid
from wsss.stages.sweep.tally import Tally, tally_image, total
from wsss.stages.sweep.usual import usual_steps


def sweep_shard(
    manifest: Manifest,
    shard: Manifest,
    cams: Mapping[str, Cams],
    affinities: Affinities,
    labels: Mapping[str, NDArray[np.uint8]],
    grid: Grid,
    threads: int = 1,
    limit: int | None = None,
) -> dict[str, Any]:
    """Count what the masks of a shard would be at all points of a grid.

    Args:
        manifest: the whole data set, with its masks.
        shard: some of the images of train.
        cams, affinities: of these images.
        labels: their confident regions (H, W), mask values and 255.
        grid: the points.
        threads: the most images at once.
        limit: the most images in all, see `swept_rows`.

    Returns:
        The content of `sweep/<beta>/<shard>.json`, which `gather` reads.
    """
    rows, names = swept_rows(manifest, shard, limit), value_names(manifest.class_names)
    on = AffinityGrid.of(affinities)

    def sweep_row(row: ImageRow) -> Tally:
        scores, class_values = cams[row.id]
        known = read_pixels(row, labels[row.id])
        counts = sweep_image(
            torch.from_numpy(affinities[row.id]),
            torch.from_numpy(scores),
            known,
            affinities.boundary(row.id),
            input_scale=on.input_scale,
            grid=grid,
        )
        return tally_image(counts, known, class_values, len(names))

    tallies = progress(in_threads(sweep_row, rows, threads), len(rows))
    counted = total(tallies, grid, len(names)).as_json()
    about = {"value_names": names, "usual_steps": usual_steps(manifest.split("train").sizes, on)}
    return about | {"grid": grid._asdict(), "counts": counted}
