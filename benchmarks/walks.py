"""One choice of the random walk at a time, on the scored images of finished results: which win, which lose.

    OMP_NUM_THREADS=1 python -m benchmarks.walks STUDY... [--images 100] [--place rounds/2]

For each variant of the study's random walk, which is the reference: mIoU of the masks before and after the
dense CRF, how many images it leaves without any background, and how many of them win or lose more than five
points of their own mIoU against the reference. At the end, what a choice for each image could win: the mIoU
with the dense CRF if each had the best of all walks, which only true masks tell. `--place` names a study
within the study, `--vary` a key.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.places import Finished
from wsss.data import ImageRow, read_mask
from wsss.method.labels import value_names
from wsss.method.metrics import class_iou, confusion_matrix, mean_iou
from wsss.results import AffinityGrid, open_shards, read_affinities, read_cams
from wsss.stages.inference.refinement import image_refinement
from wsss.stages.random_walk import mask_of, propagate_scores
from wsss.study.config import RandomWalk, Study
from wsss.study.config.files import read_yaml

POWER = [{"background": {"kind": "power", "alpha": alpha}} for alpha in (0.7, 1.0, 1.5, 2.0, 3.0)]
CONSTANT = [{"background": {"kind": "constant", "score": score}} for score in (0.38, 0.42, 0.46, 0.5)]
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "background": POWER + CONSTANT,
    "normalize": [{"normalize": how} for how in ("none", "class", "image")],
    "t": [{"t": t} for t in (1, 8, 16, 32, 64, 128)],
    "beta": [{"beta": beta} for beta in (4, 8, 12, 16)],
}
PRESETS = sorted((Path(__file__).parents[1] / "studies" / "presets").glob("*.yaml"))
VARIANTS["presets"] = [read_yaml(preset).content["random_walk"] for preset in PRESETS]
"""The walks of the paper and of later systems, which were chosen on other CAMs."""

POINTS = 0.05
"""By how much an image's own mIoU must differ to count as won or lost."""


class Outcome(NamedTuple):
    """What a variant makes of the images: confusions (N, C, C) before and after the dense CRF, and how many
    masks have no background after it."""

    walked: Tensor
    refined: Tensor
    without_background: int


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", nargs="+", help="configuration files, each laid over the one before")
    parser.add_argument("--place", default="", help="of a study within the study, such as rounds/2")
    parser.add_argument("--images", type=int, default=10**9)
    parser.add_argument("--vary", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument(
        "--affinities", default=None, help="folder of results whose affinities are walked over"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    finished = Finished.of(given.study, given.place)
    study, rows = finished.study, finished.scored[: given.images]
    n_values = len(value_names(finished.images.class_names))
    print(f"{len(rows)} images; mIoU without and with dense CRF, images without background, won, lost")
    affinities = given.affinities or study.folder
    reference = outcome(study, rows, study.random_walk, n_values, affinities)
    print(line("the study's", reference, reference), flush=True)
    outcomes = [reference]
    for name in given.vary:
        for change in VARIANTS[name]:
            walk = RandomWalk.model_validate(study.random_walk.model_dump() | change)
            if walk != study.random_walk:
                outcomes.append(outcome(study, rows, walk, n_values, affinities))
                print(line(str(change), outcomes[-1], reference), flush=True)
    print(f"the best of all for each image: {best_of_each(outcomes):.1f}")


def outcome(
    study: Study, rows: list[ImageRow], walk: RandomWalk, n_values: int, affinities_of: str
) -> Outcome:
    """Make the masks of images with a walk, and count their pixels against the true masks."""
    folder = Path(study.folder)
    cams = open_shards(sorted(folder.glob("cams/train/*.npz")), read_cams)
    affinities = open_shards(sorted(Path(affinities_of).glob("affinities/train/*.h5")), read_affinities)
    scale = AffinityGrid.of(affinities).input_scale
    walked: list[Tensor] = []
    refined: list[Tensor] = []
    bare = 0
    with cams, affinities:
        for row in rows:
            seeds, class_values = cams[row.id]
            image = torch.from_numpy(affinities[row.id]), torch.from_numpy(seeds)
            scores = propagate_scores(*image, input_scale=scale, walk=walk)
            refine = image_refinement(row, study.dense_crf, scores.device)
            assert row.mask is not None
            truth = torch.from_numpy(read_mask(row.mask))
            masks = [torch.from_numpy(mask_of(found, class_values)) for found in (scores, refine(scores))]
            for mask, counts in zip(masks, (walked, refined), strict=True):
                counts.append(confusion_matrix(mask, truth, n_values))
            bare += not (masks[1] == 0).any()
    return Outcome(torch.stack(walked), torch.stack(refined), bare)


def best_of_each(outcomes: Sequence[Outcome]) -> float:
    """The mIoU in % after the dense CRF if each image had the walk that is best for it."""
    counts = torch.stack([found.refined for found in outcomes])
    best = class_iou(counts).nanmean(-1).argmax(0)
    return 100 * mean_iou(counts[best, torch.arange(counts.shape[1])].sum(0)).item()


def line(name: str, found: Outcome, reference: Outcome) -> str:
    """Say how a variant does."""
    before, after = (100 * mean_iou(counts.sum(0)).item() for counts in (found.walked, found.refined))
    gained = class_iou(found.refined).nanmean(-1) - class_iou(reference.refined).nanmean(-1)
    won, lost = int((gained > POINTS).sum()), int((gained < -POINTS).sum())
    return f"{name}: {before:.1f} / {after:.1f}, {found.without_background}, +{won}, -{lost}"


if __name__ == "__main__":
    main()
