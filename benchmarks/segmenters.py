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

import torch
import yaml
from torch import Tensor

from wsss.data import ImageRow, Manifest, read_mask
from wsss.method.labels import class_values, value_names
from wsss.method.metrics import class_iou, confusion_matrix, mean_iou
from wsss.models.segmenter import restore_segmenter
from wsss.results import open_shards, read_masks
from wsss.runtime.compute import Compute
from wsss.stages.inference.passes import scaled_batches
from wsss.stages.inference.refinement import image_refinement
from wsss.stages.segmentation import class_probabilities
from wsss.stages.segmenter import TrueMasks, learned_masks, train_on_truth, train_segmenter
from wsss.stages.training.run import Run
from wsss.study.config import Segmenter, Study, read_study
from wsss.study.inner import studies_by_place


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
    around = read_study(*given.study)
    study = studies_by_place(around)[given.place]
    compute = Compute(torch.device("cpu"), study.precision)
    manifest = Manifest.read(Path(around.folder) / "dataset" / "manifest.tsv")
    for change in [{}] * given.own + given.change:
        section = Segmenter.model_validate(study.segmenter.model_dump() | change)
        classifier = Path(around.folder) / "classifier" / "checkpoint.pt"
        with tempfile.TemporaryDirectory() as folder:
            run = Run(
                Path(folder) / "checkpoint.pt",
                Path(folder) / "history.tsv",
                manifest.class_names,
                given.seed,
                compute,
            )
            start = time.monotonic()
            learn(study, section, manifest, run, classifier, full=given.full)
            seconds = time.monotonic() - start
            found = scores(run.checkpoint, study, manifest, compute)
        how = "full" if given.full else "weak"
        print(f"{change or 'own'}, {how}, seed {given.seed}: {seconds:.0f} s, {found}", flush=True)


def learn(
    study: Study, section: Segmenter, manifest: Manifest, run: Run, classifier: Path, *, full: bool
) -> None:
    """Train a segmentation network on the pseudo masks of a study, or on the true ones."""
    rows = manifest.split("train").rows
    if full:
        train_on_truth(rows, TrueMasks(rows), section, run, classifier=classifier)
        return
    folder = Path(study.folder) / "random_walk"
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


def scores(checkpoint: Path, study: Study, manifest: Manifest, compute: Compute) -> str:
    """Predict val in three ways and say the mIoU of each, and the IoU of each class of the first."""
    network = compute.place(restore_segmenter(checkpoint).network.eval())
    rows = [row for row in manifest.split("val") if row.mask]
    n_values = len(value_names(manifest.class_names))
    ways: dict[str, Callable[[ImageRow, Tensor], Tensor]] = {
        "mIoU": lambda row, probabilities: probabilities,
        "with labels": lambda row, probabilities: probabilities * allowed(row, n_values),
        "with dCRF": lambda row, probabilities: image_refinement(row, study.dense_crf, probabilities.device)(
            probabilities
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
                mask = way(row, found.cpu()).argmax(0).to(torch.uint8)
                counts[name] += confusion_matrix(mask, truth, n_values)
    classes: list[Any] = [f"{100 * iou:.0f}" for iou in class_iou(counts["mIoU"]).tolist()]
    return ", ".join(f"{name} {100 * mean_iou(found).item():.1f}" for name, found in counts.items()) + (
        f" ({' '.join(classes)})"
    )


def allowed(row: ImageRow, n_values: int) -> Tensor:
    """1 for the background and the labels of an image, 0 for other values, (n_values, 1, 1)."""
    factor = torch.zeros(n_values)
    factor[[0, *class_values(row.labels)]] = 1
    return factor[:, None, None]


if __name__ == "__main__":
    main()
