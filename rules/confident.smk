"""Confident regions: the pixels of which the CAMs are sure, AffinityNet's only supervision (section 3.2.1).

Input: one shard of CAMs of train. Output: `confident/{shard}.h5`.
"""


rule label_confident:
    """Label background, classes and undecided pixels of one shard."""
    input:
        images=result("<results>/dataset/train/{shard}.tsv"),
        cams=result("<results>/cams/train/{shard}.npz"),
    output:
        labels="<results>/confident/{shard}.h5",
        provenance="<results>/confident/{shard}.h5.json",
    log:
        "<results>/logs/label_confident/{shard}.log",
    benchmark:
        "<results>/benchmarks/label_confident/{shard}.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=60,
    params:
        config=section_params(study, "label_confident"),
        code=code_digest("workflow_scripts/label_confident.py"),
    message:
        "Label confident regions, {wildcards.shard}"
    script:
        "../workflow_scripts/label_confident.py"
