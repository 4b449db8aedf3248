"""From image-level labels to pixel masks and a segmentation network: the road of Ahn & Kwak (CVPR 2018).

Each included file is one stage. A rule, its script, its section of config.yaml, its module in wsss/ and its
folder under results/<study>/ share one name.
"""

import os

from snakemake.utils import min_version

from wsss.study.config import load_study, section_params
from wsss.study.provenance import code_digest
from wsss.study.shards import shard_names, shard_of
from wsss.study.sources import shard_files, source_images, source_tables
from wsss.report.summary import summary

min_version("9.25")


configfile: "config.yaml"


study = load_study(config)

# Scripts import the wsss of this folder, whose digest they carry, before any that is installed elsewhere.
os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [workflow.basedir, os.getenv("PYTHONPATH")])))


pathvars:
    results=f"{study.results}/{study.name}",


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/dataset.smk"
include: "rules/classifier.smk"
include: "rules/cams.smk"
include: "rules/confident.smk"
include: "rules/affinities.smk"
include: "rules/random_walk.smk"
include: "rules/sweep.smk"
include: "rules/segmenter.smk"
include: "rules/masks.smk"
include: "rules/scores.smk"
include: "rules/report.smk"
include: "rules/voc_submission.smk"
include: "rules/tables.smk"


rule all:
    input:
        expand("<results>/scores/{artifact}.json", artifact=SCORED),
        expand("<results>/masks/random_walk/{split}/index.tsv", split=study.refined_splits),
        "<results>/masks/segmentation/val/index.tsv",
        rules.plot_scores.output,
        rules.plot_history.output,
        rules.plot_train_gallery.output,
        rules.plot_val_gallery.output,
        rules.write_tables.output,
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
        "The run stopped. The log that is named above says why; the same command goes on from here, "
        "with what is finished kept and trainings resumed where they stopped."
    )
