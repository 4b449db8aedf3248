"""Class activation maps: where in each image the classifier finds each of the image's classes (section 3.1).

Input: the classifier, one shard of images. Output: `cams/{split}/{shard}.npz`.
"""


rule compute_cams:
    """Compute the CAMs of one shard, over several scales and flips."""
    input:
        images=result("<results>/dataset/{split}/{shard}.tsv"),
        checkpoint=result("<results>/classifier/checkpoint.pt"),
    output:
        cams="<results>/cams/{split}/{shard}.npz",
        provenance="<results>/cams/{split}/{shard}.npz.json",
    log:
        "<results>/logs/compute_cams/{split}/{shard}.log",
    benchmark:
        "<results>/benchmarks/compute_cams/{split}/{shard}.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        config=section_params(study, "compute_cams"),
        code=code_digest("workflow_scripts/compute_cams.py"),
    message:
        "Compute CAMs, {wildcards.split} {wildcards.shard}"
    script:
        "../workflow_scripts/compute_cams.py"
