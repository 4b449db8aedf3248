"""Other values of the random walk over the same CAMs and affinities, none of which is computed again: `snakemake sweep`.

Input: the CAMs, affinities and confident regions of train, and the true masks, if there are any. Output: `sweep/`,
counts per beta and shard, the ranking of all points, the first of them finished with the dense CRF, and `best.yaml`,
which makes the best of them the study's. Where `random_walk` says `auto`, the ranking is made before the walk, which
reads the chosen values from `chosen.yaml`.
"""

from wsss.study.swept import swept

BETAS = [f"{beta:.12g}" for beta in swept(study).betas]

RANKED = {
    "manifest": result("<shared>/dataset/manifest.tsv"),
    "points": result("<results>/sweep/points.json"),
    "images": all_shards("<shared>/dataset/train/{shard}.tsv", "train"),
    "truth": true_masks("train"),
    "cams": all_shards("<results>/cams/train/{shard}.npz", "train"),
    "affinities": all_shards("<results>/affinities/train/{shard}.h5", "train"),
    "labels": all_shards("<results>/confident/{shard}.h5", "train"),
}  # the ranking, and all that was swept


wildcard_constraints:
    beta=r"[\d.e+-]+",


rule sweep_random_walk:
    """Count what one shard's masks would be at all points of one beta."""
    input:
        manifest=result("<shared>/dataset/manifest.tsv"),
        images=result("<shared>/dataset/train/{shard}.tsv"),
        truth=true_masks("train"),
        cams=result("<results>/cams/train/{shard}.npz"),
        affinities=result("<results>/affinities/train/{shard}.h5"),
        labels=result("<results>/confident/{shard}.h5"),
    output:
        counts="<results>/sweep/{beta}/{shard}.json",
        provenance="<results>/sweep/{beta}/{shard}.json.json",
    log:
        "<results>/logs/sweep_random_walk/{beta}/{shard}.log",
    benchmark:
        "<results>/benchmarks/sweep_random_walk/{beta}/{shard}.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=240),
    params:
        **params_of("sweep_random_walk"),
    message:
        f"Sweep beta {{wildcards.beta}}, {{wildcards.shard}}{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"


rule rank_sweep:
    """Add up the counts, and rank the points."""
    input:
        counts=lambda wildcards: expand(
            all_shards("<results>/sweep/{{beta}}/{shard}.json", "train")(wildcards), beta=BETAS
        ),
    output:
        points="<results>/sweep/points.json",
        table="<results>/sweep/points.tsv",
        provenance=expand("<results>/sweep/{file}.json", file=["points.json", "points.tsv"]),
    log:
        "<results>/logs/rank_sweep.log",
    benchmark:
        "<results>/benchmarks/rank_sweep.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=30),
    params:
        **params_of("rank_sweep"),
    message:
        f"Rank the points of the sweep{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"


rule finish_sweep:
    """Finish the first points with the dense CRF, where the study does so, and write the overlay of the best."""
    input:
        **RANKED,
    output:
        finished="<results>/sweep/finished.json",
        best="<results>/sweep/best.yaml",
        provenance=expand("<results>/sweep/{file}.json", file=["finished.json", "best.yaml"]),
    log:
        "<results>/logs/finish_sweep.log",
    benchmark:
        "<results>/benchmarks/finish_sweep.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        **asks(mem_mb=4000, runtime=240),
    params:
        **params_of("finish_sweep"),
    message:
        f"Finish the best points of the sweep{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"


rule choose_random_walk:
    """Choose the values that say `auto`: widen the grid, finish the first points with the dense CRF, take the best."""
    input:
        **RANKED,
    output:
        chosen="<results>/sweep/chosen.yaml",
        reasons="<results>/sweep/chosen.json",
        provenance=expand("<results>/sweep/{file}.json", file=["chosen.yaml", "chosen.json"]),
    log:
        "<results>/logs/choose_random_walk.log",
    benchmark:
        "<results>/benchmarks/choose_random_walk.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        **asks(mem_mb=4000, runtime=240),
    params:
        **params_of("choose_random_walk"),
    message:
        f"Choose the values of the random walk{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"


rule plot_sweep:
    """Draw beta over t, and the curves of the backgrounds."""
    input:
        points=result("<results>/sweep/points.json"),
        finished=result(f"<results>/sweep/{'chosen' if study.random_walk.chosen_keys else 'finished'}.json"),
    output:
        figure="<results>/report/sweep.png",
        page=report(
            "<results>/report/sweep.html",
            caption="../report/sweep.rst",
            category="Sweep",
            labels={"sweep": "of the random walk"},
        ),
        provenance=expand("<results>/report/{file}.json", file=["sweep.png", "sweep.html"]),
    log:
        "<results>/logs/plot_sweep.log",
    benchmark:
        "<results>/benchmarks/plot_sweep.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=30),
    params:
        **params_of("plot_sweep"),
    message:
        f"Draw the sweep{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"
