"""Later rounds (`rounds.count`), and the upper bound (`upper_bound: true`): rules of `inner.smk` under other names.

Input: the data set, the classifier, and the segmentation network of the round before. Output: `rounds/<number>/`
and `full/`.
"""

from wsss.study.cluster import light_rules

for inner in rounds + bound:
    prefix = inner.prefix

    module:
        name: prefix
        pathvars:
            results=inner.study.folder,
        snakefile:
            "inner.smk"
        config:
            {"study": inner.study.model_dump(mode="json"), "name": inner.name, "shared": SHARED}

    use rule * from prefix exclude train_classifier, score_classifier as prefix*


# On a cluster, what takes seconds is no job.
workflow.localrules(
    *light_rules(study, [rule.name for rule in workflow.rules], [inner.prefix for inner in rounds + bound])
)
