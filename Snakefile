"""From image-level labels to pixel masks and a segmentation network: the method of Ahn & Kwak (CVPR 2018).

Each included file is a family of rules. A rule, its script and its params in wsss/study/params.py share one name;
a stage's section of config.yaml, its module in wsss/stages/ and its folder under results/<study>/ share another.
"""

import os

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from wsss.report.summary import summary
from wsss.study.config import ConfigError
from wsss.study.reading import workflow_study

min_version("9.25")

try:
    study = workflow_study(workflow)
except (ConfigError, OSError) as error:
    raise WorkflowError(str(error))

# Scripts import the wsss of this folder, whose digest they carry, before any that is installed elsewhere.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [workflow.basedir, os.getenv("PYTHONPATH")])))


pathvars:
    results=f"{study.results}/{study.name}",


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/dataset.smk"
include: "rules/trainings.smk"
include: "rules/shards.smk"
include: "rules/sweep.smk"
include: "rules/masks.smk"
include: "rules/scores.smk"
include: "rules/report.smk"
include: "rules/corrected.smk"
include: "rules/bundle.smk"
include: "rules/predict.smk"
include: "rules/voc_submission.smk"
include: "rules/tables.smk"


rule all:
    input:
        expand("<results>/scores/{artifact}.json", artifact=study.scored_artifacts),
        expand("<results>/masks/random_walk/{split}/index.tsv", split=study.refined_splits),
        expand("<results>/masks/segmentation/{split}/index.tsv", split=study.segmentation.splits),
        rules.plot_scores.output,
        rules.plot_history.output,
        rules.plot_train_gallery.output,
        rules.plot_val_gallery.output,
        rules.write_tables.output,
        expand("<results>/bundle/{network}/model.json", network=study.trained_networks),
    message:
        "All results are there"


rule sweep:
    input:
        rules.rank_sweep.output,
        rules.plot_sweep.output,
    message:
        "The sweep is done"


onsuccess:
    print(summary(f"{study.results}/{study.name}"))


onerror:
    print(
        "See the log named above. Run the same command to continue: finished results are kept, trainings resume."
    )
