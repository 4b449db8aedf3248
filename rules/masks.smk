"""Masks as palette PNGs, for people and for other tools.

Input: all shards of a split. Output: `masks/{artifact}/{split}/<id>.png` their list `index.tsv`, and `classes.txt`.
"""


rule export_masks:
    """Write one PNG per image, and last the index, which is the output that Snakemake knows."""
    input:
        masks=all_shards("<results>/{artifact}/{split}/{shard}.h5"),
        images=result("<shared>/dataset/{split}.tsv"),
    output:
        classes="<results>/masks/{artifact}/{split}/classes.txt",
        index="<results>/masks/{artifact}/{split}/index.tsv",
        provenance="<results>/masks/{artifact}/{split}/index.tsv.json",
    log:
        "<results>/logs/export_masks/{artifact}/{split}.log",
    benchmark:
        "<results>/benchmarks/export_masks/{artifact}/{split}.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=60),
    params:
        **params_of("export_masks"),
    message:
        f"Export {{wildcards.artifact}} of {{wildcards.split}} as PNG{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"
