"""Settings that follow the photographs: a walk chosen without masks, and distances of the dense CRF.

    OMP_NUM_THREADS=1 python -m benchmarks.settings results/voc-animals --images 50 --factor 0.5

Takes the classifier and the AffinityNet of finished results and the first scored images, resized by a factor,
and computes CAMs, confident regions and affinities with the settings of a recipe. Then it sweeps the walk and
prints, in mIoU on these images: the CAMs at their best constant background, the best point of the sweep, the
point that is chosen without masks, both after the dense CRF, and this at several distances. With --crop
the images are cut down to their objects, so that little background is left.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wsss.data import ImageRow, Manifest
from wsss.data.decoding import FORMATS
from wsss.models.affinitynet import restore_affinitynet
from wsss.models.classifier import restore_classifier
from wsss.results import (
    AffinityGrid,
    read_affinities,
    read_cams,
    read_masks,
    write_affinities,
    write_cams,
    write_confident,
)
from wsss.runtime.compute import Compute
from wsss.stages.affinities.network import compute_affinities
from wsss.stages.cams.classifier import compute_cams
from wsss.stages.confident import label_images
from wsss.stages.scores.cams import score_study_cams
from wsss.stages.sweep.choice import candidates
from wsss.stages.sweep.finalists import FINALISTS, Finished, finish_points
from wsss.stages.sweep.finish import ShardResults
from wsss.stages.sweep.pixels import swept_rows
from wsss.stages.sweep.points import Grid, Row, best_first
from wsss.stages.sweep.ranking import LABEL_FREE, MIOU, gather, rank
from wsss.stages.sweep.shard import sweep_shard
from wsss.stages.sweep.usual import near_usual, usual_steps
from wsss.study.config import ClassifierCams, DenseCrf, Study, load_study
from wsss.study.follow import input_scale, median_longest_side

SHARES = (0.04, 0.08, 0.16, 0.32)
MARGIN = 0.04
CPU = torch.device("cpu")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path)
    parser.add_argument("--affinitynet", type=Path, help="folder of results, if it is another one")
    parser.add_argument("--recipe", default="cpu")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--factor", type=float, default=1.0)
    parser.add_argument("--crop", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    study = load_study({"recipe": given.recipe, "dataset": {"kind": "folder", "root": "none"}})
    manifest = Manifest.read(given.results / "dataset" / "manifest.tsv")
    rows = swept_rows(manifest, manifest.split("train"), given.images)
    with tempfile.TemporaryDirectory() as folder:
        images = replace(manifest, rows=tuple(_resized(rows, Path(folder), given.factor, given.crop)))
        networks = given.results, given.affinitynet or given.results
        results = _results(images, networks, study, given.factor, Path(folder))
        _report(images, results, study)


def _resized(rows: Sequence[ImageRow], folder: Path, factor: float, crop: bool) -> Iterator[ImageRow]:
    for row in rows:
        assert row.mask is not None  # scored images have one
        with Image.open(row.image, formats=FORMATS) as opened, Image.open(row.mask, formats=FORMATS) as mask:
            image, truth = opened.convert("RGB"), mask.copy()
        if crop:
            box = _objects(np.asarray(truth))
            image, truth = image.crop(box), truth.crop(box)
        size = round(image.width * factor), round(image.height * factor)
        paths = folder / f"{row.id}.png", folder / f"{row.id}_mask.png"
        image.resize(size, Image.Resampling.BICUBIC).save(paths[0])
        truth.resize(size, Image.Resampling.NEAREST).save(paths[1])
        yield replace(row, image=paths[0], mask=paths[1], width=size[0], height=size[1])


def _objects(truth: np.ndarray) -> tuple[int, int, int, int]:
    """Return the box (left, top, right, bottom) around all objects, with a margin."""
    y, x = np.nonzero(truth)
    down, right = (round(MARGIN * side) for side in truth.shape)
    height, width = truth.shape
    return (
        max(x.min() - right, 0),
        max(y.min() - down, 0),
        min(x.max() + right, width),
        min(y.max() + down, height),
    )


def _results(
    images: Manifest, networks: tuple[Path, Path], study: Study, factor: float, folder: Path
) -> ShardResults:
    compute, section = Compute.of((CPU,), "float32", 1), study.cams
    assert section.kind == "classifier"  # the recipes for one's own photographs
    scales = tuple(scale / factor for scale in section.scales)
    classifier = restore_classifier(networks[0] / "classifier" / "checkpoint.pt").network
    affinitynet = restore_affinitynet(networks[1] / "affinitynet" / "checkpoint.pt").network
    scale = input_scale(median_longest_side(images.sizes))
    print(
        f"{len(images)} images, median longest side {median_longest_side(images.sizes)}, input_scale {scale}"
    )
    seen = ClassifierCams(scales=scales, flip=False)
    write_cams(folder / "cams.npz", compute_cams(classifier, images.rows, seen, compute))
    cams = read_cams(folder / "cams.npz")
    labels = label_images(images.rows, cams, study.confident, study.dense_crf, device=CPU)
    write_confident(folder / "confident.h5", labels, pooling="vote")
    stencils = compute_affinities(affinitynet, images.rows, input_scale=scale, flip=False, compute=compute)
    grid = AffinityGrid(affinitynet.radius, scale, affinitynet.border)
    write_affinities(folder / "affinities.h5", stencils, grid)
    return ShardResults(cams, read_affinities(folder / "affinities.h5"), read_masks(folder / "confident.h5"))


def _report(images: Manifest, results: ShardResults, study: Study) -> None:
    cams = score_study_cams(images, results.cams, study.dense_crf).metrics
    print(
        f"CAMs, best constant {cams['constant']:.2f}: {_percent(cams)}; + dCRF {_percent(cams['dense_crf'])}"
    )
    tried, walk = study.sweep, study.random_walk
    counted = [
        sweep_shard(
            images, images, *results, Grid(tried.alphas, tried.constants, beta, tried.ts, walk.tolerance)
        )
        for beta in tried.betas
    ]
    ranking = rank(*gather(counted))
    print(f"rank correlation with mIoU: {ranking['correlation']}")
    whole, open_to_choice = ranking["points"], candidates(ranking["points"], walk)
    print(f"best of all {len(whole)} points: {_percent(whole[0])} {_values(whole[0])}")
    steps = usual_steps(images.sizes, AffinityGrid.of(results.affinities))
    chosen = best_first(near_usual(open_to_choice, walk.chosen_keys, steps), LABEL_FREE)[0]
    print(f"chosen without masks: {_percent(chosen)} {_values(chosen)}")
    best = _finished(images, results, study, open_to_choice[:FINALISTS]).best
    print(f"chosen by masks, after the dense CRF: {100 * best['finished']:.1f} {_values(best)}")
    without = _finished(images, results, study, [chosen]).best
    print(f"chosen without masks, after the dense CRF: {100 * without['finished']:.1f}")
    _distances(images, results, study, chosen)


def _distances(images: Manifest, results: ShardResults, study: Study, point: Row) -> None:
    own = study.dense_crf
    bilateral = {
        f"{share}": own.model_copy(update={"bilateral": (share, *own.bilateral[1:])}) for share in SHARES
    }
    bilateral |= {
        f"{pixels} px, Gaussian 3 px": DenseCrf(bilateral=(pixels, *own.bilateral[1:]))
        for pixels in (20, 40, 80)
    }
    for name, dense_crf in bilateral.items():
        with_it = study.model_copy(update={"dense_crf": dense_crf})
        score = _finished(images, results, with_it, [point]).best["finished"]
        print(f"  after the dense CRF at {name}: {100 * score:.1f}")


def _finished(images: Manifest, results: ShardResults, study: Study, points: Sequence[Row]) -> Finished:
    """The points after the dense CRF of a study, on all images."""
    return finish_points(
        points,
        MIOU,
        images,
        [(images, results)],
        walk=study.random_walk,
        dense_crf=study.dense_crf,
        limit=len(images),
        per_shard=None,
    )


def _percent(metrics: Row) -> str:
    return f"{100 * metrics[MIOU]:.1f}"


def _values(point: Row) -> str:
    background = f"alpha {point['alpha']:g}" if point["alpha"] else f"constant {point['constant']:g}"
    return f"({background}, beta {point['beta']:g}, t {point['t']}, normalize {point['normalize']})"


if __name__ == "__main__":
    main()
