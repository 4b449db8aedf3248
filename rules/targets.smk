"""Targets by name, which end before the trainings that they do not need: `wsss run --only masks`, `snakemake masks`.

Each asks for what a stage makes, and for the scores and alarms up to there. Without a target, all is computed.
"""


rule cams:
    """The CAMs, and how good they and the classifier are."""
    input:
        [all_shards("<results>/cams/{split}/{shard}.npz", split) for split in study.refined_splits],
        [f"<results>/scores/{artifact}.json" for artifact in study.scored_up_to("cams")],
        health_up_to("cams"),
    message:
        "The CAMs are there"


rule masks:
    """The pseudo masks as PNGs; no segmentation network is trained."""
    input:
        expand("<results>/masks/random_walk/{split}/index.tsv", split=study.refined_splits),
        [f"<results>/scores/{artifact}.json" for artifact in study.scored_up_to("random_walk")],
        health_up_to("random_walk"),
    message:
        "The pseudo masks are there"


rule sweep:
    """The best points of the random walk, after a look at many."""
    input:
        rules.rank_sweep.output,
        rules.finish_sweep.output,
        rules.plot_sweep.output,
        health_up_to("cams"),
    message:
        "The sweep is done"
