"""The scores of the study beside the published ones."""

from pathlib import Path
from typing import TYPE_CHECKING

from wsss.report.tables import scored_results, write_tables
from wsss.results import read_json
from wsss.stages.job import Stage

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with Stage(snakemake) as stage:
    metrics = {name: read_json(snakemake.input.get(name)) for name in ("cams", "random_walk", "segmentation")}
    folder = Path(snakemake.output.page).parent
    published = (Path(snakemake.input.published), Path(snakemake.input.stages))
    write_tables(folder, folder.parent.name, scored_results(metrics, stage.config), published)
