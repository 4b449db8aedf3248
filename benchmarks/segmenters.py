"""Other settings of the segmentation network, trained on the pseudo masks of finished results.

    python -m benchmarks.segmenters STUDY... --place rounds/2 --change '{least_margin: 0.2}' '{epochs: 6}'

For the study's own section `segmenter` (--own) and each change of it: seconds of the training, and mIoU on
val of the masks as they are, kept to the true labels of each image, and refined with the dense CRF. `--full`
trains on the true masks instead. `--place` names a study within the study.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.places import Finished
from wsss.data import ImageRow, read_mask
from wsss.method.labels import class_values, value_names
from wsss.method.metrics import class_iou, confusion_matrix, mean_iou
from wsss.models.segmenter import restore_segmenter
from wsss.results import open_shards, read_masks
from wsss.runtime.compute import Compute
from wsss.stages.cams.segmenter import kept_to_labels
from wsss.stages.inference.passes import scaled_batches
from wsss.stages.inference.refinement import image_refinement
from wsss.stages.random_walk import mask_of
from wsss.stages.segmentation import class_probabilities
from wsss.stages.segmenter import TrueMasks, learned_masks, train_on_truth, train_segmenter
from wsss.stages.training.run import Run
from wsss.study.config import Segmenter


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", nargs="+", help="configuration files, each laid over the one before")
    parser.add_argument("--place", default="", help="of a study within the study, such as rounds/2")
    parser.add_argument("--own", action="store_true", help="the study's own section as well")
    parser.add_argument("--change", nargs="*", default=[], type=yaml.safe_load, help="keys of the section")
    parser.add_argument("--full", action="store_true", help="learn from the true masks")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    finished = Finished.of(given.study, given.place)
    compute = Compute(torch.device("cpu"), finished.study.precision)
    for change in [{}] * given.own + given.change:
        section = Segmenter.model_validate(finished.study.segmenter.model_dump() | change)
        with tempfile.TemporaryDirectory() as folder:
            checkpoint, history = Path(folder) / "checkpoint.pt", Path(folder) / "history.tsv"
            run = Run(checkpoint, history, finished.images.class_names, given.seed, compute)
            start = time.monotonic()
            learn(finished, section, run, full=given.full)
            seconds = time.monotonic() - start
            found = scores(checkpoint, finished, compute)
        how = "full" if given.full else "weak"
        print(f"{change or 'own'}, {how}, seed {given.seed}: {seconds:.0f} s, {found}", flush=True)


def learn(finished: Finished, section: Segmenter, run: Run, *, full: bool) -> None:
    """Train a segmentation network on the pseudo masks of a study, or on the true ones."""
    rows, classifier = finished.train, finished.classifier
    if full:
        train_on_truth(rows, TrueMasks(rows), section, run, classifier=classifier)
        return
    folder = finished.folder / "random_walk"
    with ExitStack() as stack:
        masks, margins, others = (
            stack.enter_context(open_shards(sorted(files), read_masks))
            for files in (folder.glob("train/*.h5"), folder.glob("margins/train/*.h5"), of_others(section))
        )
        learned = learned_masks(masks, margins, None, section, others)
        train_segmenter(rows, learned, section, run, classifier=classifier)


def of_others(section: Segmenter) -> list[Path]:
    """The shards of the masks that pseudo masks must agree with."""
    return list(Path(section.agreed_with).glob("train/*.h5")) if section.agreed_with else []


def scores(checkpoint: Path, finished: Finished, compute: Compute) -> str:
    """Predict val in three ways and say the mIoU of each, and the IoU of each class of the first."""
    network = compute.place(restore_segmenter(checkpoint).network.eval())
    study, names = finished.study, value_names(finished.images.class_names)
    rows, n_values = [row for row in finished.images.split("val") if row.mask], len(names)
    every_class = class_values(range(n_values - 1))
    ways: dict[str, Callable[[ImageRow, Tensor], NDArray[np.uint8]]] = {
        "mIoU": lambda row, found: mask_of(found, every_class),
        "with labels": lambda row, found: mask_of(kept_to_labels(found, row), class_values(row.labels)),
        "with dCRF": lambda row, found: mask_of(
            image_refinement(row, study.dense_crf, found.device)(found), every_class
        ),
    }
    counts = {name: torch.zeros(n_values, n_values, dtype=torch.int64) for name in ways}
    scales, flip = study.segmentation.scales, study.segmentation.flip
    for batch, images in scaled_batches(network.backbone.normalization, rows, scales, compute):
        size = (batch[0].height, batch[0].width)
        for row, found in zip(batch, class_probabilities(network, images, size, flip, compute), strict=True):
            assert row.mask is not None
            truth = torch.from_numpy(read_mask(row.mask))
            for name, way in ways.items():
                mask = torch.from_numpy(way(row, found.cpu()))
                counts[name] += confusion_matrix(mask, truth, n_values)
    classes: list[Any] = [f"{100 * iou:.0f}" for iou in class_iou(counts["mIoU"]).tolist()]
    return ", ".join(f"{name} {100 * mean_iou(found).item():.1f}" for name, found in counts.items()) + (
        f" ({' '.join(classes)})"
    )


if __name__ == "__main__":
    main()
