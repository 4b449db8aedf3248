"""The segmentation network, from images and their pseudo masks, or the true ones for an upper bound."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.results import open_shards, read_masks
from wsss.stages.job import Job, run
from wsss.stages.segmenter import TrueMasks, learned_masks, train_on_truth, train_segmenter
from wsss.stages.training.run import Run
from wsss.study.follow import settled_section
from wsss.study.params import TrainSegmenter

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[TrainSegmenter]) -> None:
    """Train the segmentation network."""
    images = Manifest.read(job.input.images)
    section = job.settle("segmenter", settled_section(job.params.segmenter, images.sizes))
    classifier = Path(job.input.classifier) if section.weights == "classifier" else None
    training = Run.of(job, images.class_names)
    if section.supervision == "full":
        truth = TrueMasks(Manifest.read(job.input.manifest).split("train").rows)
        train_on_truth(images.rows, truth, section, training, classifier=classifier)
        return
    corrected = read_masks(job.input.corrected) if job.input.corrected else None
    of_masks = (job.input.masks, job.input.margins, job.input.others)
    masks, margins, others = (open_shards(files, read_masks) for files in of_masks)
    with masks, margins, others:
        learned = learned_masks(masks, margins, corrected, section, others)
        train_segmenter(images.rows, learned, section, training, classifier=classifier)


if "snakemake" in globals():
    run(main, snakemake)
