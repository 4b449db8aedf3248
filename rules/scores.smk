"""Scores against the true masks: the only rules, besides the sweep's and the report's, that may read one.

Without true masks they record that there is nothing to score; the classifier needs none. Output:
`scores/<artifact>.json` with the scores, `scores/<artifact>.tsv` with what each image contributes to them, and
`scores/cams_dense_crf.tsv` likewise for the CAMs after the dense CRF.
"""

SCORES = {
    "classifier": {
        "message": "Score the classifier",
        "input": {"checkpoint": checkpoint_file("classifier")},
        "resources": {"gpu": 1, "mem_mb": 8000, "runtime": 120},
    },
    "cams": {
        "message": "Score the CAMs",
        "input": {
            "cams": all_shards("<results>/cams/{split}/{shard}.npz", "train"),
            "truth": true_masks("train"),
        },
        "output": (
            {"refined_table": "<results>/scores/cams_dense_crf.tsv"}
            if "dense_crf" in (study.confident.refine, study.random_walk.refine)
            else {}
        ),
    },
    "confident": {
        "message": "Score the confident regions",
        "input": {
            "labels": all_shards("<results>/confident/{shard}.h5", "train"),
            "truth": true_masks("train"),
        },
    },
    "affinities": {
        "message": "Score the affinities",
        "input": {
            "cams": all_shards("<results>/cams/{split}/{shard}.npz", "train"),
            "affinities": all_shards("<results>/affinities/{split}/{shard}.h5", "train"),
            "truth": true_masks("train"),
            "chosen": chosen_values(),
        },
        "resources": {"gpu": 1, "mem_mb": 8000, "runtime": 240},
    },
    "random_walk": {
        "message": "Score the pseudo masks",
        "input": masks_and_truth("random_walk", study.refined_splits),
    },
    "segmentation": {
        "message": "Score the segmentation network",
        "input": masks_and_truth("segmentation", study.segmentation.splits),
    },
}


for artifact, facts in SCORES.items():

    rule:
        """Score what a stage made, in all and image by image, before jobs of later stages if there is a choice."""
        name:
            f"score_{artifact}"
        input:
            **facts["input"],
            images=result(f"<shared>/dataset/{'val' if artifact == 'classifier' else 'manifest'}.tsv"),
        output:
            **facts.get("output", {}),
            metrics=f"<results>/scores/{artifact}.json",
            table=f"<results>/scores/{artifact}.tsv",
            provenance=[
                *expand("<results>/scores/{artifact}.{kind}.json", artifact=artifact, kind=["json", "tsv"]),
                *(f"{table}.json" for table in facts.get("output", {}).values()),
            ],
        log:
            f"<results>/logs/score_{artifact}.log",
        benchmark:
            f"<results>/benchmarks/score_{artifact}.tsv"
        priority: 1
        conda:
            "../envs/wsss.yaml"
        threads: 8
        resources:
            **asks(**facts.get("resources", {"mem_mb": 4000, "runtime": 120})),
        params:
            **params_of(f"score_{artifact}"),
        message:
            f"{facts['message']}{OF_STUDY}"
        script:
            "../workflow_scripts/{params.script}.py"
