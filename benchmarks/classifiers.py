"""Other settings of the classifier, trained from the start, and what they do to its CAMs.

    OMP_NUM_THREADS=1 python -m benchmarks.classifiers STUDY... --own --change '{equivariance: {weight: 1}}'

For each change of the study's section `classifier`, and with --own for the classifier that it has already:
mIoU of the CAMs, as the study computes them, at the constant background that is best for them, and the IoU
of each class. `--every 3` scores every third of the scored images of train, `--keep` keeps the checkpoints.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml

from benchmarks.places import Finished
from wsss.data import ImageRow, Manifest
from wsss.models.classifier import restore_classifier
from wsss.results import Cams
from wsss.runtime.compute import Compute
from wsss.stages.cams.classifier import compute_cams
from wsss.stages.classifier import train_classifier
from wsss.stages.scores.cams import score_cams
from wsss.stages.scores.truth import Truth
from wsss.stages.training.run import Run
from wsss.study.config import Classifier, ClassifierCams


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", nargs="+", help="configuration files, each laid over the one before")
    parser.add_argument("--own", action="store_true", help="the study's own classifier as well")
    parser.add_argument("--change", nargs="*", default=[], type=yaml.safe_load, help="keys of the section")
    parser.add_argument("--every", type=int, default=1, help="score every n-th of the scored images")
    parser.add_argument("--keep", type=Path, help="folder for the checkpoints, by number of the change")
    given = parser.parse_args()
    finished = Finished.of(given.study, "")
    compute = Compute(torch.device("cpu"), finished.study.precision)
    scored = finished.scored[:: given.every]
    if given.own:
        print(f"own: {score(finished.classifier, finished, scored, compute)}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for number, change in enumerate(given.change):
            section = Classifier.model_validate(finished.study.classifier.model_dump() | change)
            folder = (given.keep or Path(temporary)) / str(number)
            folder.mkdir(parents=True)
            checkpoint = folder / "checkpoint.pt"
            run = Run(checkpoint, folder / "history.tsv", finished.images.class_names, 0, compute)
            start = time.process_time()
            train_classifier(finished.train, section, run)
            used = time.process_time() - start
            print(f"{change}: {used:.0f} s, {score(checkpoint, finished, scored, compute)}", flush=True)


def score(checkpoint: Path, finished: Finished, rows: Sequence[ImageRow], compute: Compute) -> str:
    """Say the mIoU of the CAMs at the best constant, and the IoU of each class there, background first."""
    network = compute.place(restore_classifier(checkpoint).network.eval())
    section = finished.study.cams
    assert isinstance(section, ClassifierCams)
    cams = {
        name: Cams(scores, values) for name, scores, values in compute_cams(network, rows, section, compute)
    }
    truth = Truth(Manifest(finished.images.class_names, tuple(rows)), "train")
    found = score_cams(truth, cams).metrics
    classes = " ".join(f"{100 * iou:.0f}" for iou in found["iou"].values())
    return f"{100 * found['miou']:.1f} of {len(truth)} images at {found['constant']:g} ({classes})"


if __name__ == "__main__":
    main()
