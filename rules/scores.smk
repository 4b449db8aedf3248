"""Scores against the true masks: the only rules, besides the report's, that may read one.

Without true masks they write down that there is nothing to score; the classifier needs none. Output:
`scores/<artifact>.json`.
"""


rule score_classifier:
    """Score the classifier on val by the image-level labels."""
    input:
        images=result("<results>/dataset/val.tsv"),
        checkpoint=result("<results>/classifier/checkpoint.pt"),
    output:
        metrics="<results>/scores/classifier.json",
        provenance="<results>/scores/classifier.json.json",
    log:
        "<results>/logs/score_classifier.log",
    benchmark:
        "<results>/benchmarks/score_classifier.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=120,
    params:
        config=section_params(study, "score_classifier"),
        code=code_digest("workflow_scripts/score_classifier.py"),
    message:
        "Score the classifier"
    script:
        "../workflow_scripts/score_classifier.py"


rule score_cams:
    """Score the CAMs at the best constant background and at several alpha."""
    input:
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("train"),
        cams=all_shards("<results>/cams/{split}/{shard}.npz", "train"),
    output:
        metrics="<results>/scores/cams.json",
        provenance="<results>/scores/cams.json.json",
    log:
        "<results>/logs/score_cams.log",
    benchmark:
        "<results>/benchmarks/score_cams.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        config=section_params(study, "score_cams"),
        code=code_digest("workflow_scripts/score_cams.py"),
    message:
        "Score the CAMs"
    script:
        "../workflow_scripts/score_cams.py"


rule score_confident:
    """Measure how much the confident regions cover and how much of that is right."""
    input:
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("train"),
        labels=all_shards("<results>/confident/{shard}.h5", "train"),
    output:
        metrics="<results>/scores/confident.json",
        provenance="<results>/scores/confident.json.json",
    log:
        "<results>/logs/score_confident.log",
    benchmark:
        "<results>/benchmarks/score_confident.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        config=section_params(study, "score_confident"),
        code=code_digest("workflow_scripts/score_confident.py"),
    message:
        "Score the confident regions"
    script:
        "../workflow_scripts/score_confident.py"


rule score_affinities:
    """Measure what leaks across true borders, and the score that the same CAMs reach over true affinities."""
    input:
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("train"),
        cams=all_shards("<results>/cams/{split}/{shard}.npz", "train"),
        affinities=all_shards("<results>/affinities/{split}/{shard}.h5", "train"),
    output:
        metrics="<results>/scores/affinities.json",
        provenance="<results>/scores/affinities.json.json",
    log:
        "<results>/logs/score_affinities.log",
    benchmark:
        "<results>/benchmarks/score_affinities.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        config=section_params(study, "score_affinities"),
        code=code_digest("workflow_scripts/score_affinities.py"),
    message:
        "Score the affinities"
    script:
        "../workflow_scripts/score_affinities.py"


rule score_random_walk:
    """Score the pseudo masks of train, and of val where the study refines it too."""
    input:
        **(
            {
                "val_truth": true_masks("val"),
                "val_masks": all_shards("<results>/random_walk/{split}/{shard}.h5", "val"),
            }
            if "val" in study.refined_splits
            else {}
        ),
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("train"),
        masks=all_shards("<results>/random_walk/{split}/{shard}.h5", "train"),
    output:
        metrics="<results>/scores/random_walk.json",
        provenance="<results>/scores/random_walk.json.json",
    log:
        "<results>/logs/score_random_walk.log",
    benchmark:
        "<results>/benchmarks/score_random_walk.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        config=section_params(study, "score_random_walk"),
        code=code_digest("workflow_scripts/score_random_walk.py"),
    message:
        "Score the pseudo masks"
    script:
        "../workflow_scripts/score_random_walk.py"


rule score_segmentation:
    """Score the segmentation network on val, which nothing was trained on."""
    input:
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("val"),
        masks=all_shards("<results>/segmentation/{split}/{shard}.h5", "val"),
    output:
        metrics="<results>/scores/segmentation.json",
        provenance="<results>/scores/segmentation.json.json",
    log:
        "<results>/logs/score_segmentation.log",
    benchmark:
        "<results>/benchmarks/score_segmentation.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        config=section_params(study, "score_segmentation"),
        code=code_digest("workflow_scripts/score_segmentation.py"),
    message:
        "Score the segmentation network"
    script:
        "../workflow_scripts/score_segmentation.py"
