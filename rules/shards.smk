"""The stages between the trainings, which work on one shard of images per job: CAMs (section 3.1 of the paper),
confident regions (3.2.1), affinities (3.2), the random walk (3.3) and the masks of the segmentation network (3.4).

Input: the images of a shard and what earlier stages made of them. Output: `<stage>/{split}/{shard}.h5`; CAMs are
`.npz`, and confident regions, which only train has, `confident/{shard}.h5`.
"""

CAMS_NETWORK = network_of(CAM_KINDS, study.cams.kind)
AFFINITIES_NETWORK = network_of(AFFINITY_KINDS, study.affinities.kind)
BY_NETWORK, BY_FILES = {"gpu": 1, "mem_mb": 8000, "runtime": 240}, {"mem_mb": 4000, "runtime": 60}

STAGES = {
    "compute_cams": {
        "message": "Compute CAMs, {wildcards.split} {wildcards.shard}",
        "input": {"checkpoint": seeds_file(), "files": files_of_shard("cams")},
        "output": {"cams": "<results>/cams/{split}/{shard}.npz"},
        "resources": BY_NETWORK if CAMS_NETWORK else BY_FILES,
    },
    "label_confident": {
        "message": "Label confident regions, {wildcards.shard}",
        "shard": "{shard}",
        "input": {
            "images": result("<shared>/dataset/train/{shard}.tsv"),
            "cams": result("<results>/cams/train/{shard}.npz"),
        },
        "output": {"labels": "<results>/confident/{shard}.h5"},
        "splits": ["train"],
        "resources": {"gpu": 1, "mem_mb": 4000, "runtime": 60},
    },
    "compute_affinities": {
        "message": "Compute affinities, {wildcards.split} {wildcards.shard}",
        "input": {"checkpoint": checkpoint_file(AFFINITIES_NETWORK), "files": files_of_shard("affinities")},
        "output": {"affinities": "<results>/affinities/{split}/{shard}.h5"},
        "resources": BY_NETWORK if AFFINITIES_NETWORK else BY_FILES,
    },
    "random_walk": {
        "message": "Propagate CAMs, {wildcards.split} {wildcards.shard}",
        "input": {
            "cams": result("<results>/cams/{split}/{shard}.npz"),
            "affinities": result("<results>/affinities/{split}/{shard}.h5"),
            "chosen": chosen_values(),
        },
        "output": {
            "masks": "<results>/random_walk/{split}/{shard}.h5",
            "margins": "<results>/random_walk/margins/{split}/{shard}.h5",
        },
        "resources": {"gpu": 1, "mem_mb": 8000, "runtime": 240},
    },
    "compute_segmentation": {
        "message": "Segment, {wildcards.split} {wildcards.shard}",
        "input": {"checkpoint": checkpoint_file("segmenter")},
        "output": {"masks": "<results>/segmentation/{split}/{shard}.h5"},
        "resources": BY_NETWORK,
        "splits": study.splits,
    },
}


for stage, facts in STAGES.items():
    shard = facts.get("shard", "{split}/{shard}")

    rule:
        """Compute what a stage makes of one shard of images."""
        name:
            stage
        input:
            **{"images": result("<shared>/dataset/{split}/{shard}.tsv"), **facts["input"]},
        output:
            **facts["output"],
            provenance=[f"{path}.json" for path in facts["output"].values()],
        log:
            f"<results>/logs/{stage}/{shard}.log",
        benchmark:
            f"<results>/benchmarks/{stage}/{shard}.tsv"
        wildcard_constraints:
            split="|".join(facts.get("splits", ["train", "val"])),
        conda:
            "../envs/wsss.yaml"
        threads: threads_of_shards(facts.get("splits", study.refined_splits))
        resources:
            **asks(**facts["resources"]),
        params:
            **params_of(stage),
        message:
            f"{facts['message']}{OF_STUDY}"
        script:
            "../workflow_scripts/{params.script}.py"
