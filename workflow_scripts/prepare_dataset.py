"""The tables of the data set. Only the first names masks, and only scoring and report read it."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.stages.dataset import list_drawn, prepare, write_parts
from wsss.stages.job import Job, run
from wsss.study.params import PrepareDataset

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(job: Job[PrepareDataset]) -> None:
    """Check the data set, and list its images in all, per split and per shard."""
    manifest_path, dataset = Path(job.output.manifest), job.params.dataset
    generated = manifest_path.parent / dataset.kind
    manifest = prepare(dataset, generated)
    manifest.write(manifest_path)
    write_parts(manifest, job.output.splits, job.output.shards, job.params.shards)
    job.wrote(list_drawn(manifest, generated))


if "snakemake" in globals():
    run(main, snakemake)
