"""How good each pseudo mask is, without a true one: which to look at first, and what that says of each class.

Input: what the stages made of train, and no true mask. Output: `quality/signals/{shard}.tsv`, from which come
`quality/images.tsv`, all masks of train with the doubtful ones first, and `quality/classes.tsv`. Where there are true
masks, `scores/quality.json` says how well the signals rank; the list does not depend on it.
"""

CONFIDENT = "<results>/confident/{shard}.h5"
PREDICTED = "<results>/segmentation/train/{shard}.h5"


rule measure_quality:
    """Compare each mask of a shard with other ways to make it."""
    input:
        images=result("<shared>/dataset/train/{shard}.tsv"),
        cams=result("<results>/cams/train/{shard}.npz"),
        affinities=result("<results>/affinities/train/{shard}.h5"),
        chosen=chosen_values(),
        masks=result("<results>/random_walk/train/{shard}.h5"),
        labels=result(CONFIDENT) if study.uses_confident else [],
        predictions=result(PREDICTED) if "train" in study.segmentation.splits else [],
    output:
        signals="<results>/quality/signals/{shard}.tsv",
        provenance="<results>/quality/signals/{shard}.tsv.json",
    log:
        "<results>/logs/measure_quality/{shard}.log",
    benchmark:
        "<results>/benchmarks/measure_quality/{shard}.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        **asks(mem_mb=4000, runtime=120),
    params:
        **params_of("measure_quality"),
    message:
        f"Measure masks without true ones, {{wildcards.shard}}{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"


rule rank_quality:
    """Put the masks that are least to be trusted first, and summarise each class."""
    input:
        images=result("<shared>/dataset/train.tsv"),
        signals=all_shards("<results>/quality/signals/{shard}.tsv", "train"),
    output:
        images="<results>/quality/images.tsv",
        classes="<results>/quality/classes.tsv",
        provenance=expand("<results>/quality/{file}.tsv.json", file=["images", "classes"]),
    log:
        "<results>/logs/rank_quality.log",
    benchmark:
        "<results>/benchmarks/rank_quality.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=30),
    params:
        **params_of("rank_quality"),
    message:
        f"Rank the masks without true ones{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"


rule score_quality:
    """Correlate the signals with the mIoU of each mask; without true masks there is nothing to correlate."""
    input:
        images=result("<shared>/dataset/train.tsv"),
        ranking=result("<results>/quality/images.tsv"),
        masks_table=result("<results>/scores/random_walk.tsv"),
    output:
        metrics="<results>/scores/quality.json",
        provenance="<results>/scores/quality.json.json",
    log:
        "<results>/logs/score_quality.log",
    benchmark:
        "<results>/benchmarks/score_quality.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=30),
    params:
        **params_of("score_quality"),
    message:
        f"Score the signals of quality{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"


rule plot_quality:
    """Show the masks to look at first, with their signals, and how well these rank."""
    input:
        **GALLERIES["train"],
        **segmentation_of("train"),
        images=result("<shared>/dataset/manifest.tsv"),
        truth=true_masks("train"),
        ranking=result("<results>/quality/images.tsv"),
        scores=result("<results>/scores/quality.json"),
    output:
        figure="<results>/report/quality.png",
        page=report(
            "<results>/report/quality.html",
            caption="../report/quality.rst",
            category="Gallery",
            labels={"split": "train", "images": "look at these first"},
        ),
        provenance=expand("<results>/report/quality.{kind}.json", kind=["png", "html"]),
    log:
        "<results>/logs/plot_quality.log",
    benchmark:
        "<results>/benchmarks/plot_quality.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=4000, runtime=60),
    params:
        **params_of("plot_quality"),
    message:
        f"Draw the masks to look at first{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"
