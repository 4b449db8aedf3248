"""The random walk that carries the CAMs along the affinities: pseudo masks (section 3.3).

Input: one shard of CAMs and of affinities. Output: `random_walk/{split}/{shard}.h5`.
"""


rule random_walk:
    """Propagate the CAMs of one shard and take the strongest class of each pixel."""
    input:
        images=result("<results>/dataset/{split}/{shard}.tsv"),
        cams=result("<results>/cams/{split}/{shard}.npz"),
        affinities=result("<results>/affinities/{split}/{shard}.h5"),
    output:
        masks="<results>/random_walk/{split}/{shard}.h5",
        provenance="<results>/random_walk/{split}/{shard}.h5.json",
    log:
        "<results>/logs/random_walk/{split}/{shard}.log",
    benchmark:
        "<results>/benchmarks/random_walk/{split}/{shard}.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        config=section_params(study, "random_walk"),
        code=code_digest("workflow_scripts/random_walk.py"),
    message:
        "Propagate CAMs, {wildcards.split} {wildcards.shard}"
    script:
        "../workflow_scripts/random_walk.py"
