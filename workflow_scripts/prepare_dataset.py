"""The tables of the data set. Masks stand in the first alone; all stages but the scoring read the others."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.stages.dataset import prepare
from wsss.stages.job import Stage
from wsss.study.config import load_study
from wsss.study.shards import shard_names

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    folder = Path(snakemake.output.manifest).parent
    study = load_study(stage.config)
    manifest = prepare(study.dataset, generated=folder / study.dataset.kind)
    manifest.write(snakemake.output.manifest)
    maskless = manifest.without_masks()
    for split in study.splits:
        maskless.split(split).write(folder / f"{split}.tsv")
        count = study.shards[split]
        for index, name in enumerate(shard_names(count)):
            maskless.shard(split, index, count).write(folder / split / f"{name}.tsv")
