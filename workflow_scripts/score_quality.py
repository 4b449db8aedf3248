"""How well the signals of quality rank the pseudo masks of train, where there are true masks."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.method.labels import value_names
from wsss.results import image_miou, read_confusions, read_ranking, write_json
from wsss.stages.job import Job, run
from wsss.stages.scores.quality import score_quality
from wsss.study.params import Nothing

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[Nothing]) -> None:
    """Correlate signals and mIoU, image by image."""
    n_values = len(value_names(Manifest.read(job.input.images).class_names))
    images = [image for image in read_confusions(job.input.masks_table, n_values) if image.split == "train"]
    write_json(
        job.output.metrics, score_quality(read_ranking(job.input.ranking), image_miou(images, n_values))
    )


if "snakemake" in globals():
    run(main, snakemake)
