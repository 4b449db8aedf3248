"""The segmentation network, trained on the pseudo masks as if they were true (section 4).

Input: the images and pseudo masks of train. Output: `segmenter/`, `segmentation/{split}/{shard}.h5`.
"""


rule train_segmenter:
    """Train the segmentation network on the pseudo masks of train."""
    input:
        images=result("<results>/dataset/train.tsv"),
        masks=all_shards("<results>/random_walk/{split}/{shard}.h5", "train"),
        classifier=classifier_file("segmenter"),
        weights=weights_file("segmenter"),
    output:
        checkpoint="<results>/segmenter/checkpoint.pt",
        history="<results>/segmenter/history.tsv",
        provenance="<results>/segmenter/checkpoint.pt.json",
    log:
        "<results>/logs/train_segmenter.log",
    benchmark:
        "<results>/benchmarks/train_segmenter.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=1440,
    params:
        config=section_params(study, "train_segmenter"),
        code=code_digest("workflow_scripts/train_segmenter.py"),
    message:
        "Train the segmentation network"
    script:
        "../workflow_scripts/train_segmenter.py"


rule compute_segmentation:
    """Segment the images of one shard; their labels are not looked at."""
    input:
        images=result("<results>/dataset/{split}/{shard}.tsv"),
        checkpoint=result("<results>/segmenter/checkpoint.pt"),
    output:
        masks="<results>/segmentation/{split}/{shard}.h5",
        provenance="<results>/segmentation/{split}/{shard}.h5.json",
    log:
        "<results>/logs/compute_segmentation/{split}/{shard}.log",
    benchmark:
        "<results>/benchmarks/compute_segmentation/{split}/{shard}.tsv"
    wildcard_constraints:
        split="|".join(study.splits),
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        config=section_params(study, "compute_segmentation"),
        code=code_digest("workflow_scripts/compute_segmentation.py"),
    message:
        "Segment, {wildcards.split} {wildcards.shard}"
    script:
        "../workflow_scripts/compute_segmentation.py"
