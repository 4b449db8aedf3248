"""The first points of a sweep as the study would finish them, with the dense CRF; and the CAMs alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from wsss.data import ImageRow, Manifest
from wsss.data.loading import in_threads
from wsss.method.cam import with_background
from wsss.method.labels import BACKGROUND
from wsss.results import Affinities, AffinityGrid, Cams, read_affinities, read_cams, read_masks
from wsss.stages.inference.refinement import Refine, image_refinement
from wsss.stages.random_walk import background_of, propagate_image
from wsss.stages.sweep.counting import Counts, count_winners
from wsss.stages.sweep.pixels import Pixels, read_pixels
from wsss.stages.sweep.points import Grid, Point
from wsss.stages.sweep.tally import Tally, tally_image
from wsss.study.config import DenseCrf, RandomWalk

Mask = NDArray[np.uint8]


class ShardResults(NamedTuple):
    """What earlier stages made of a shard: CAMs, affinities and confident labels by image id."""

    cams: Mapping[str, Cams]
    affinities: Affinities
    labels: Mapping[str, Mask]


@contextmanager
def open_results(
    images: Sequence[str], cams: Sequence[str], affinities: Sequence[str], labels: Sequence[str]
) -> Iterator[list[tuple[Manifest, ShardResults]]]:
    """Open the files of all shards, in the same order: images of train, and what earlier stages made of them.

    Raises:
        ArtifactError: a file is damaged, or none of its kind.
    """
    with ExitStack() as stack:
        yield [
            (
                Manifest.read(rows),
                ShardResults(
                    stack.enter_context(read_cams(scores)),
                    stack.enter_context(read_affinities(stencils)),
                    stack.enter_context(read_masks(masks)),
                ),
            )
            for rows, scores, stencils, masks in zip(images, cams, affinities, labels, strict=True)
        ]


def finish_images(
    rows: Sequence[ImageRow],
    results: ShardResults,
    walks: Sequence[RandomWalk],
    dense_crf: DenseCrf | None,
    n_values: int,
    threads: int = 1,
) -> Iterator[list[Tally]]:
    """Count what the finished masks of images would be.

    Args:
        rows: the images, with their true masks if they have any.
        results: of the shard that holds them.
        walks: the random walks to try.
        dense_crf: refines all of them, if given.
        n_values: number of mask values, background included.
        threads: the most images at once.

    Yields:
        For each image the tallies of the CAMs without a walk, over the background of the first one, and of
        each walk. Their grids have one point.
    """
    input_scale = AffinityGrid.of(results.affinities).input_scale

    def finish(row: ImageRow) -> list[Tally]:
        scores, class_values = results.cams[row.id]
        known = read_pixels(row, results.labels[row.id])
        refine = image_refinement(row, dense_crf) if dense_crf else None
        cams, boundary = torch.from_numpy(scores), results.affinities.boundary(row.id)
        walked = (
            propagate_image(
                torch.from_numpy(results.affinities[row.id]),
                cams,
                class_values,
                input_scale=input_scale,
                walk=walk,
                boundary=None if boundary is None else torch.from_numpy(boundary),
                refine=refine,
            )
            for walk in walks
        )
        alone = cam_mask(cams, class_values, walks[0], refine)
        return [_tally(mask, known, class_values, n_values) for mask in (alone, *walked)]

    return in_threads(finish, rows, threads)


def cam_mask(
    cams: torch.Tensor, class_values: NDArray[np.int64], walk: RandomWalk, refine: Refine | None
) -> Mask:
    """Make the mask (H, W) uint8 of CAMs (K, H, W) over the background of a walk that is not taken."""
    scores = with_background(cams, background_of(cams, walk.background)).float()
    winner = (refine(scores) if refine else scores).argmax(0).numpy()
    mask: Mask = np.array([BACKGROUND, *class_values], np.uint8)[winner]
    return mask


def _tally(mask: Mask, known: Pixels, class_values: NDArray[np.int64], n_values: int) -> Tally:
    """Count a mask as the one point of a grid."""
    flat = mask.ravel()
    scores = (flat == class_values[:, None]).astype(np.float32)
    background = np.full((1, flat.size), 0.5, np.float32)
    counts = count_winners(scores, background, np.zeros((1, flat.size), np.uint8), known)
    spread = Counts(
        pixels=counts.pixels[None, None],
        changed=counts.changed[None, None],
        parted=counts.parted[None, None],
        parting=counts.parting[None, None],
    )
    return tally_image(spread, known, class_values, n_values)


def single(point: Point, tolerance: float) -> Grid:
    """Make the grid that holds one point."""
    powers = point.background.kind == "power"
    value = point.columns["alpha"] if powers else point.columns["constant"]
    return Grid(
        alphas=(value,) if powers else (),
        constants=() if powers else (value,),
        beta=point.columns["beta"],
        ts=(point.columns["t"],),
        tolerance=tolerance,
        normalize=(point.normalize,),
    )
