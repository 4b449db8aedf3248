"""A study within the study, whose rules the Snakefile takes from here under names with a prefix: a later round
(`round2_random_walk`), or the upper bound (`full_train_segmenter`). The paper has neither.

Input: the data set and the classifier of the study around it, and the network of the round before. Output:
`rounds/<number>/` or `full/`, with the same folders as any study.
"""

from wsss.study.config import Study

study = Study.model_validate(config["study"])
SHARED = config["shared"]
OF_STUDY = f", {config['name']}"
rounds, bound = [], []
checkpoints.register(workflow.get_rule("prepare_dataset"))


include: "common.smk"
include: "trainings.smk"
include: "shards.smk"
include: "sweep.smk"
include: "masks.smk"
include: "scores.smk"
include: "health.smk"
include: "report.smk"
include: "quality.smk"
