"""Alarms: whether the study is going wrong, part by part, with and without true masks.

Input: data set tables, histories, scores, and the masks of all images. Output: `health/<part>.json` as soon as a part
is finished, and all of it in `health.json`, for the end of the run and the report.
"""

HEALTH = {
    "dataset": {"train": result("<shared>/dataset/train.tsv"), "val": result("<shared>/dataset/val.tsv")},
    "classifier": {
        "val": result("<shared>/dataset/val.tsv"),
        "history": result("<shared>/classifier/history.tsv"),
        "scores": result("<results>/scores/classifier.json"),
        "images": result("<results>/scores/classifier.tsv"),
    },
    "cams": {"cams": result("<results>/scores/cams.json")},
    "confident": {
        "train": result("<shared>/dataset/train.tsv"),
        "labels": all_shards("<results>/confident/{shard}.h5", "train"),
        "confident": result("<results>/scores/confident.json"),
    },
    "random_walk": {
        "train": result("<shared>/dataset/train.tsv"),
        "masks": all_shards("<results>/random_walk/{split}/{shard}.h5", "train"),
        **{
            artifact: result(f"<results>/scores/{artifact}.json")
            for artifact in ("cams", "affinities", "random_walk")
        },
    },
    "segmentation": {
        "val": result("<shared>/dataset/val.tsv"),
        "history": result("<results>/segmenter/history.tsv"),
        "predictions": all_shards("<results>/segmentation/{split}/{shard}.h5", "val"),
        **{
            artifact: result(f"<results>/scores/{artifact}.json")
            for artifact in ("random_walk", "segmentation")
        },
    },
}
if study.pair_network:
    HEALTH["random_walk"][study.pair_network] = result(f"<results>/{study.pair_network}/history.tsv")
else:
    del HEALTH["confident"]
if "train" in study.segmentation.splits:
    HEALTH["segmentation"] |= {
        "train": result("<shared>/dataset/train.tsv"),
        "masks": HEALTH["random_walk"]["masks"],
        "predictions_on_train": all_shards("<results>/segmentation/{split}/{shard}.h5", "train"),
    }
if not study.uses_classifier:
    del HEALTH["classifier"]
if OF_STUDY:
    del HEALTH["dataset"]  # that of the study around


rule check_health:
    """Check a part, before jobs of later parts if there is a choice."""
    input:
        unpack(lambda wildcards: {name: files(wildcards) for name, files in HEALTH[wildcards.part].items()}),
    output:
        health="<results>/health/{part}.json",
        provenance="<results>/health/{part}.json.json",
    log:
        "<results>/logs/check_health/{part}.log",
    benchmark:
        "<results>/benchmarks/check_health/{part}.tsv"
    wildcard_constraints:
        part="|".join(HEALTH),
    priority: 2
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=120),
    params:
        **params_of("check_health"),
    message:
        f"Check: {{wildcards.part}}{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"


rule gather_health:
    """Put the alarms and warnings of all parts together."""
    input:
        [result(f"<results>/health/{part}.json") for part in HEALTH],
    output:
        health="<results>/health.json",
        provenance="<results>/health.json.json",
    log:
        "<results>/logs/gather_health.log",
    benchmark:
        "<results>/benchmarks/gather_health.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=30),
    params:
        **params_of("gather_health"),
    message:
        f"Gather the alarms{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"
