"""IRNet against AffinityNet on a finished study: pseudo masks over the affinities of each.

    OMP_NUM_THREADS=1 python -m benchmarks.irn STUDY... [--place rounds/2] [--irnet '{epochs: 8}']

Takes classifier, CAMs, confident regions and AffinityNet's affinities of finished results, and trains IRNet
as the section irnet of the study says; without STUDY, on the default study. Prints the mIoU of the masks of
the scored images of train, without and with the dense CRF: at the walk of the study, and at the best of a
sweep around it on every fifth image. `--irnet` changes keys of the section, `--keep` keeps IRNet's results.
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

from benchmarks.places import Finished
from wsss.data import ImageRow, read_mask
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
from wsss.study.config import DenseCrf, IRNet, PowerBackground, RandomWalk
from wsss.study.config.fields import settled

CPU = torch.device("cpu")
BETAS = (8.0, 12.0, 24.0)
FACTORS_OF_ALPHA, FACTORS_OF_T = (2 / 3, 1, 4 / 3), (0.5, 1, 2)


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", nargs="*", help="configuration files, each laid over the one before")
    parser.add_argument("--place", default="", help="of a study within the study, such as rounds/2")
    parser.add_argument("--irnet", type=yaml.safe_load, default={}, help="keys of the section irnet")
    parser.add_argument("--keep", type=Path, help="folder for IRNet and its affinities")
    given = parser.parse_args()
    finished = Finished.of(given.study, given.place)
    section = IRNet.model_validate(finished.study.irnet.model_dump() | given.irnet)
    with tempfile.TemporaryDirectory() as temporary:
        boundaries = irn_affinities(finished, section, given.keep or Path(temporary))
        compare("irn", finished, [boundaries])
        compare("network", finished, sorted(finished.folder.glob("affinities/train/*.h5")))


def irn_affinities(finished: Finished, section: IRNet, folder: Path) -> Path:
    """Train IRNet on the confident regions of a study, and compute the scored images' affinities."""
    compute = Compute(CPU, finished.study.precision)
    run = Run(
        folder / "checkpoint.pt", folder / "history.tsv", finished.images.class_names, seed=0, compute=compute
    )
    start = time.process_time()
    with open_shards(sorted(finished.folder.glob("confident/*.h5")), read_masks) as labels:
        train_irnet(finished.train, labels, section, run, classifier=finished.classifier)
    print(f"IRNet trained in {time.process_time() - start:.0f} s of one core", flush=True)
    grid = AffinityGrid(5, settled(section.input_scale), "full")
    network = restore_irnet(run.checkpoint).network
    write_affinities(
        folder / "00.h5",
        compute_affinities(network, finished.scored, grid, flip=False, compute=compute),
        grid,
    )
    return folder / "00.h5"


def compare(name: str, finished: Finished, affinities: Sequence[Path]) -> None:
    """Print the scores over the affinities of a kind."""
    walk, scored = finished.study.random_walk, finished.scored
    if walk.background.kind != "power":
        raise SystemExit(f"random_walk.background: kind {walk.background.kind!r}, expected 'power'")
    alphas = [round(settled(walk.background.alpha) * factor, 2) for factor in FACTORS_OF_ALPHA]
    ts = [int(settled(walk.t) * factor) for factor in FACTORS_OF_T]
    some = scored[::5]
    swept = {
        point: score(finished, some, affinities, with_values(walk, *point))
        for point in itertools.product(alphas, BETAS, ts)
    }
    best = max(swept, key=lambda point: swept[point])
    print(
        f"{name}: best of {len(swept)} without dCRF, α, β, t {best}: {swept[best]:.1f} of {len(some)} images"
    )
    for label, how in (("the study's walk", walk), ("best walk", with_values(walk, *best))):
        plain = score(finished, scored, affinities, how)
        refined = score(finished, scored, affinities, how, finished.study.dense_crf)
        print(f"{name}: {label}: {plain:.1f}, with dCRF {refined:.1f} of {len(scored)} images", flush=True)


def with_values(walk: RandomWalk, alpha: float, beta: float, t: int) -> RandomWalk:
    """Change the values that a sweep tries."""
    return walk.model_copy(update={"background": PowerBackground(alpha=alpha), "beta": beta, "t": t})


def score(
    finished: Finished,
    rows: Sequence[ImageRow],
    affinities: Sequence[Path],
    walk: RandomWalk,
    dense_crf: DenseCrf | None = None,
) -> float:
    """Score pseudo masks: mIoU in percent."""
    names = value_names(finished.images.class_names)
    truth = {row.id: row.mask for row in rows if row.mask is not None}

    def confusions() -> Iterator[torch.Tensor]:
        with open_shards(sorted(finished.folder.glob("cams/train/*.npz")), read_cams) as cams:
            for path in affinities:
                with read_affinities(path) as shard:
                    own = [row for row in rows if row.id in shard]
                    masks = propagate_images(own, cams, shard, walk, dense_crf, device=CPU)
                    for image_id, mask, _ in masks:
                        true_mask = torch.from_numpy(read_mask(truth[image_id]))
                        yield confusion_matrix(torch.from_numpy(mask), true_mask, len(names))

    return 100 * float(mean_iou(torch.stack(list(confusions())).sum(0)))


if __name__ == "__main__":
    main()
