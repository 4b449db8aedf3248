"""Masks, overlays and classes of one shard of new photographs."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.report.figures.gallery import overlay
from wsss.runtime.console import progress
from wsss.stages.bundle.model import SegmentationModel
from wsss.stages.job import Job, run
from wsss.stages.predict import named_below, predict_files, write_shard, written
from wsss.study.params import PredictImages

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[PredictImages]) -> None:
    """Predict the photographs, and write the table last."""
    table, files = Path(job.output.table), [Path(file) for file in job.input.images]
    model = SegmentationModel.load(Path(job.input.facts).parent, job.device)
    images = named_below(Path(job.params.images or ""), files)
    found = predict_files(model, images, table.parents[1], overlay)
    predicted = list(progress(found, len(images)))
    write_shard(table, predicted, model.value_names)
    job.wrote(written(table.parents[1], predicted))


if "snakemake" in globals():
    run(main, snakemake)
