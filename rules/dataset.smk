"""The data set as tables: one with everything, for the scores, and one per split and per shard without any mask.

Input: the files of a data set (nothing for the drawn one). Output: `dataset/`.
"""


checkpoint prepare_dataset:
    """Check the images, labels and masks, and list them. Only `manifest.tsv` names masks."""
    input:
        tables=lambda wildcards: source_tables(study.dataset),
    output:
        manifest="<shared>/dataset/manifest.tsv",
        splits=expand("<shared>/dataset/{split}.tsv", split=study.splits),
        shards=[expand("<shared>/dataset/{split}/{shard}.tsv", **shards_of(split)) for split in study.splits],
        provenance="<shared>/dataset/manifest.tsv.json",
    log:
        "<results>/logs/prepare_dataset.log",
    benchmark:
        "<results>/benchmarks/prepare_dataset.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **(asks(mem_mb=6000, runtime=240) if study.dataset.kind == "coco" else asks(mem_mb=2000, runtime=60)),
    params:
        **params_of("prepare_dataset"),
        images=lambda wildcards: source_images(study.dataset),
    message:
        "Prepare the data set"
    script:
        "../workflow_scripts/{params.script}.py"
