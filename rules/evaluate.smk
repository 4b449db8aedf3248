"""Scores against the true masks: the only rules, besides the report's, that may read one.

Without true masks they write down that there is nothing to score; the classifier needs none. Output:
`metrics/<artifact>.json`.
"""


rule evaluate_classifier:
    """Score the classifier on val by the image-level labels."""
    input:
        images=result("<results>/dataset/val.tsv"),
        checkpoint=result("<results>/classifier/checkpoint.pt"),
    output:
        metrics="<results>/metrics/classifier.json",
        provenance="<results>/metrics/classifier.json.json",
    log:
        "<results>/logs/evaluate_classifier.log",
    benchmark:
        "<results>/benchmarks/evaluate_classifier.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=120,
    params:
        config=section_params(study, "evaluate_classifier"),
        code=code_digest("workflow_scripts/evaluate_classifier.py"),
    message:
        "Score the classifier"
    script:
        "../workflow_scripts/evaluate_classifier.py"


rule evaluate_cams:
    """Score the CAMs at the best constant background and at several alpha."""
    input:
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("train"),
        cams=all_shards("<results>/cams/{split}/{shard}.npz", "train"),
    output:
        metrics="<results>/metrics/cams.json",
        provenance="<results>/metrics/cams.json.json",
    log:
        "<results>/logs/evaluate_cams.log",
    benchmark:
        "<results>/benchmarks/evaluate_cams.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        config=section_params(study, "evaluate_cams"),
        code=code_digest("workflow_scripts/evaluate_cams.py"),
    message:
        "Score the CAMs"
    script:
        "../workflow_scripts/evaluate_cams.py"


rule evaluate_confident:
    """Measure how much the confident regions cover and how much of that is right."""
    input:
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("train"),
        labels=all_shards("<results>/confident/{shard}.h5", "train"),
    output:
        metrics="<results>/metrics/confident.json",
        provenance="<results>/metrics/confident.json.json",
    log:
        "<results>/logs/evaluate_confident.log",
    benchmark:
        "<results>/benchmarks/evaluate_confident.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        config=section_params(study, "evaluate_confident"),
        code=code_digest("workflow_scripts/evaluate_confident.py"),
    message:
        "Score the confident regions"
    script:
        "../workflow_scripts/evaluate_confident.py"


rule evaluate_affinities:
    """Measure what leaks across true borders, and the score that the same CAMs reach over true affinities."""
    input:
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("train"),
        cams=all_shards("<results>/cams/{split}/{shard}.npz", "train"),
        affinities=all_shards("<results>/affinities/{split}/{shard}.h5", "train"),
    output:
        metrics="<results>/metrics/affinities.json",
        provenance="<results>/metrics/affinities.json.json",
    log:
        "<results>/logs/evaluate_affinities.log",
    benchmark:
        "<results>/benchmarks/evaluate_affinities.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        config=section_params(study, "evaluate_affinities"),
        code=code_digest("workflow_scripts/evaluate_affinities.py"),
    message:
        "Score the affinities"
    script:
        "../workflow_scripts/evaluate_affinities.py"


rule evaluate_pseudo_masks:
    """Score the pseudo masks of train, and of val where the study refines it too."""
    input:
        **(
            {
                "val_truth": true_masks("val"),
                "val_masks": all_shards("<results>/pseudo_masks/{split}/{shard}.h5", "val"),
            }
            if "val" in study.refined_splits
            else {}
        ),
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("train"),
        masks=all_shards("<results>/pseudo_masks/{split}/{shard}.h5", "train"),
    output:
        metrics="<results>/metrics/pseudo_masks.json",
        provenance="<results>/metrics/pseudo_masks.json.json",
    log:
        "<results>/logs/evaluate_pseudo_masks.log",
    benchmark:
        "<results>/benchmarks/evaluate_pseudo_masks.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        config=section_params(study, "evaluate_pseudo_masks"),
        code=code_digest("workflow_scripts/evaluate_pseudo_masks.py"),
    message:
        "Score the pseudo masks"
    script:
        "../workflow_scripts/evaluate_pseudo_masks.py"


rule evaluate_segmentation:
    """Score the segmentation network on val, which nothing was trained on."""
    input:
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("val"),
        masks=all_shards("<results>/segmentation/{split}/{shard}.h5", "val"),
    output:
        metrics="<results>/metrics/segmentation.json",
        provenance="<results>/metrics/segmentation.json.json",
    log:
        "<results>/logs/evaluate_segmentation.log",
    benchmark:
        "<results>/benchmarks/evaluate_segmentation.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        config=section_params(study, "evaluate_segmentation"),
        code=code_digest("workflow_scripts/evaluate_segmentation.py"),
    message:
        "Score the segmentation network"
    script:
        "../workflow_scripts/evaluate_segmentation.py"
