"""From image-level labels to pixel masks and a segmentation network: the method of Ahn & Kwak (CVPR 2018).

Each included file is a family of rules. A rule, its script and its params in wsss/study/params.py share one name;
a stage's section of config.yaml, its module in wsss/stages/ and its folder under results/<study>/ share another.
"""

import os
import sys

from snakemake.logging import logger
from snakemake.utils import min_version

from wsss.planning.run_log import RunLog
from wsss.planning.scheduling import look_when_jobs_end
from wsss.report.failure import failure
from wsss.report.health import findings_as_list
from wsss.report.summary import findings, summary
from wsss.study.code_digest import ROOT
from wsss.study.config import ConfigError
from wsss.study.features import keep_features_for_this_run
from wsss.study.inner import later_rounds, upper_bound
from wsss.study.invocation import Invocation
from wsss.study.reading import check_places, workflow_study

min_version("9.25")
run_log = RunLog(logger)

try:
    check_places(workflow.basedir, sys.executable)
    study = workflow_study(workflow)
    rounds, bound = later_rounds(study), upper_bound(study)
except (ConfigError, OSError) as error:
    raise SystemExit(str(error))  # the sentence alone, where a WorkflowError has a frame around it

# In a clone, scripts import the wsss of this folder, whose digest they carry, before any that is installed elsewhere.
if workflow.basedir == str(ROOT):
    os.environ.update(PYTHONPATH=os.pathsep.join(filter(None, [workflow.basedir, os.getenv("PYTHONPATH")])))
os.environ.update(Invocation.of(workflow).environment())


SHARED = study.folder
LAST_ROUND = rounds[-1].study.folder if rounds else SHARED
OF_STUDY = ""  # what messages say of a study within the study


pathvars:
    results=study.folder,
    shared=SHARED,


report: "report/workflow.rst"


if "--report" in sys.argv:  # that page begins with the alarms
    config["alarms"] = findings_as_list(findings(study.folder))


include: "rules/common.smk"
include: "rules/dataset.smk"
include: "rules/trainings.smk"
include: "rules/shards.smk"
include: "rules/sweep.smk"
include: "rules/masks.smk"
include: "rules/scores.smk"
include: "rules/health.smk"
include: "rules/report.smk"
include: "rules/quality.smk"
include: "rules/corrected.smk"
include: "rules/bundle.smk"
include: "rules/predict.smk"
include: "rules/voc_submission.smk"
include: "rules/tables.smk"
include: "rules/browser.smk"
include: "rules/targets.smk"
include: "rules/rounds.smk"


rule all:
    input:
        expand("<results>/scores/{artifact}.json", artifact=study.scored_artifacts),
        expand("<results>/masks/random_walk/{split}/index.tsv", split=study.refined_splits),
        expand("<results>/masks/segmentation/{split}/index.tsv", split=study.segmentation.splits),
        rules.rank_quality.output + rules.plot_quality.output + rules.write_report.output,
        rules.plot_scores.output + rules.plot_history.output,
        rules.plot_train_gallery.output + rules.plot_val_gallery.output + rules.write_tables.output,
        rules.plot_sweep.output if study.random_walk.chosen_keys else [],
        expand("<results>/bundle/{network}/model.json", network=bundled_networks()),
        [files_of_round(inner.study) for inner in rounds],
        [f"{inner.study.folder}/scores/segmentation.json" for inner in bound],
    message:
        "All results are there"


onstart:
    run_log.begin(study, elsewhere=workflow.non_local_exec)
    keep_features_for_this_run(study.folder)
    look_when_jobs_end(workflow)


onsuccess:
    print(summary(study.folder))


onerror:
    raise SystemExit(failure(study.folder, log))
