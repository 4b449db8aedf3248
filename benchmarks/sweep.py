"""The sweep against the study's own way to a mask, point by point, over finished results.

    OMP_NUM_THREADS=1 python -m benchmarks.sweep results/voc-animals [--images 20]

On one thread: processor time per image of `sweep_image` for all points of one beta of the default grid, and
of `propagate_image` for a sample of the same points. The masks are compared as well.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from wsss.data import Manifest
from wsss.results import AffinityGrid, open_shards, read_affinities, read_cams, read_masks
from wsss.stages.random_walk import propagate_image
from wsss.stages.sweep.images import sweep_image
from wsss.stages.sweep.pixels import read_pixels, swept_rows
from wsss.stages.sweep.points import Grid
from wsss.study.config import RandomWalk, Sweep


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("--images", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder, tried = arguments.results, Sweep()
    manifest = Manifest.read(folder / "dataset" / "manifest.tsv")
    rows = swept_rows(manifest, manifest.split("train"))[: arguments.images + 1]
    grid = Grid(tried.alphas, tried.constants, 8.0, tried.ts, 1e-4)
    points = list(grid.points())
    cams = open_shards(sorted(folder.glob("cams/train/*.npz")), read_cams)
    affinities = open_shards(sorted(folder.glob("affinities/train/*.h5")), read_affinities)
    labels = open_shards(sorted(folder.glob("confident/*.h5")), read_masks)
    scale = AffinityGrid.of(affinities).input_scale
    together, alone, differing = [], [], 0
    for number, row in enumerate(rows):
        scores, class_values = cams[row.id]
        image = torch.from_numpy(affinities[row.id]), torch.from_numpy(scores)
        start = time.process_time()
        counts = sweep_image(*image, read_pixels(row, labels[row.id]), input_scale=scale, grid=grid)
        together.append(time.process_time() - start)
        for place, point in points[number :: len(points) // 4]:
            start = time.process_time()
            walk = point.walk(RandomWalk(tolerance=grid.tolerance))
            mask = propagate_image(*image, class_values, input_scale=scale, walk=walk)
            alone.append(time.process_time() - start)
            won = [(mask == value).sum() for value in (0, *class_values)]
            differing += not np.array_equal(counts.pixels[place].sum(-1), won)
    sweep, single = 1e3 * float(np.median(together[1:])), 1e3 * float(np.median(alone[5:]))
    print(f"{len(points)} points of one beta, one thread, median of {len(together) - 1} images")
    print(
        f"sweep_image {sweep:.0f} ms, {sweep / len(points):.2f} ms a point; propagate_image {single:.1f} ms"
    )
    print(f"{len(points) * single / sweep:.0f} times as fast; masks that differ: {differing} of {len(alone)}")


if __name__ == "__main__":
    main()
