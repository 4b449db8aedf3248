"""IRNet against AffinityNet on a finished study: pseudo masks over the affinities of each.

    OMP_NUM_THREADS=1 python -m benchmarks.irn results/shapes

Takes classifier, CAMs, confident regions and AffinityNet's affinities of finished results, and trains IRNet
with the defaults of section irnet. Prints the mIoU of the pseudo masks on the scored images of train, without
and with the dense CRF: at the walk of the default study, and at the best of a sweep on every fifth image.
--irnet changes keys of the section, as in --irnet '{epochs: 8}'.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import yaml

from wsss.data import ImageRow, Manifest, read_mask
from wsss.method.labels import value_names
from wsss.method.metrics import confusion_matrix, mean_iou
from wsss.models.irnet import restore_irnet
from wsss.results import (
    AffinityGrid,
    open_shards,
    read_affinities,
    read_cams,
    read_masks,
    write_affinities,
)
from wsss.runtime.compute import Compute
from wsss.stages.affinities.irn import compute_affinities
from wsss.stages.irnet import train_irnet
from wsss.stages.random_walk import propagate_images
from wsss.stages.training.run import Run
from wsss.study.config import DenseCrf, IRNet, PowerBackground, RandomWalk, Study
from wsss.study.config.fields import settled

CPU = torch.device("cpu")
COMPUTE = Compute(CPU, "float32")
ALPHAS, BETAS, TS = (2.0, 3.0, 4.0), (8.0, 12.0, 24.0), (8, 16, 32)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("results", type=Path, help="folder of a finished study")
    parser.add_argument("--irnet", type=yaml.safe_load, default={}, help="keys of the section irnet")
    given = parser.parse_args()
    images = Manifest.read(given.results / "dataset" / "manifest.tsv")
    with tempfile.TemporaryDirectory() as folder:
        boundaries = irn_affinities(given.results, images, IRNet(**given.irnet), Path(folder))
        compare("network", given.results, images, sorted(given.results.glob("affinities/train/*.h5")))
        compare("irn", given.results, images, [boundaries])


def irn_affinities(results: Path, images: Manifest, section: IRNet, folder: Path) -> Path:
    """Train IRNet on the confident regions of results, and compute affinities of train with it."""
    rows = images.split("train")
    run = Run(folder / "checkpoint.pt", folder / "history.tsv", images.class_names, seed=0, compute=COMPUTE)
    start = time.process_time()
    with open_shards(sorted(results.glob("confident/*.h5")), read_masks) as labels:
        train_irnet(rows, labels, section, run, classifier=results / "classifier" / "checkpoint.pt")
    print(f"IRNet trained in {time.process_time() - start:.0f} s of one core", flush=True)
    grid = AffinityGrid(5, settled(section.input_scale), "full")
    network = restore_irnet(run.checkpoint).network
    write_affinities(
        folder / "00.h5", compute_affinities(network, rows, grid, flip=False, compute=COMPUTE), grid
    )
    return folder / "00.h5"


def compare(name: str, results: Path, images: Manifest, affinities: Sequence[Path]) -> None:
    """Print the scores over the affinities of a kind."""
    walk, scored = Study().random_walk, [row for row in images.split("train") if row.scored]
    some = scored[::5]
    swept = {
        point: score(results, images, some, affinities, with_values(walk, *point))
        for point in itertools.product(ALPHAS, BETAS, TS)
    }
    best = max(swept, key=lambda point: swept[point])
    print(
        f"{name}: best of {len(swept)} without dCRF, α, β, t {best}: {swept[best]:.1f} of {len(some)} images"
    )
    for label, how in (("default walk", walk), ("best walk", with_values(walk, *best))):
        plain = score(results, images, scored, affinities, how)
        refined = score(results, images, scored, affinities, how, Study().dense_crf)
        print(f"{name}: {label}: {plain:.1f}, with dCRF {refined:.1f} of {len(scored)} images", flush=True)


def with_values(walk: RandomWalk, alpha: float, beta: float, t: int) -> RandomWalk:
    """Change the values that a sweep tries."""
    return walk.model_copy(update={"background": PowerBackground(alpha=alpha), "beta": beta, "t": t})


def score(
    results: Path,
    images: Manifest,
    rows: Sequence[ImageRow],
    affinities: Sequence[Path],
    walk: RandomWalk,
    dense_crf: DenseCrf | None = None,
) -> float:
    """Score pseudo masks: mIoU in percent."""
    names = value_names(images.class_names)
    truth = {row.id: row.mask for row in rows if row.mask is not None}

    def confusions() -> Iterator[torch.Tensor]:
        with open_shards(sorted(results.glob("cams/train/*.npz")), read_cams) as cams:
            for path in affinities:
                with read_affinities(path) as shard:
                    own = [row for row in rows if row.id in shard]
                    masks = propagate_images(own, cams, shard, walk, dense_crf, device=CPU)
                    for image_id, mask in masks:
                        true_mask = torch.from_numpy(read_mask(truth[image_id]))
                        yield confusion_matrix(torch.from_numpy(mask), true_mask, len(names))

    return 100 * float(mean_iou(torch.stack(list(confusions())).sum(0)))


if __name__ == "__main__":
    main()
