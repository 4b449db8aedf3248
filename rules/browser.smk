"""The report to browse: one page with all figures, and all images in the stages of the road.

Input: all that the results say, those of later rounds included; no rule here computes anything. Output:
`report/index.html`, and beside it small pictures of all images, `report/thumbnails/`, which are there when the page is.
"""

LAST = rounds[-1].study if rounds else study
SHARDS_SHOWN = {
    "cams": (f"{LAST.folder}/cams/{{split}}/{{shard}}.npz", study.refined_splits),
    "labels": (f"{LAST.folder}/confident/{{shard}}.h5", ["train"] if LAST.uses_confident else []),
    "masks": (f"{LAST.folder}/random_walk/{{split}}/{{shard}}.h5", study.refined_splits),
    "predictions": (f"{LAST.folder}/segmentation/{{split}}/{{shard}}.h5", LAST.segmentation.splits),
}


rule write_report:
    """Write the page that a browser opens from disk."""
    input:
        **{artifact: result(f"<results>/scores/{artifact}.json") for artifact in study.scored_artifacts},
        **scores_within(),
        **{
            f"{name}_of_{split}": all_shards(path, split)
            for name, (path, splits) in SHARDS_SHOWN.items()
            for split in splits
        },
        **{
            f"{network}_history": result(f"<results>/{network}/history.tsv")
            for network in study.trained_networks
        },
        **{f"{split}_truth": true_masks(split, scored=False) for split in ("train", "val")},
        **{
            f"{artifact}_table": result(f"{LAST.folder}/scores/{artifact}.tsv")
            for artifact in ("cams", "random_walk", "segmentation")
        },
        **{
            f"exported_{split}": result(f"{LAST.folder}/masks/random_walk/{split}/index.tsv")
            for split in study.refined_splits
        },
        earlier=results_of_earlier_rounds,
        images=result("<shared>/dataset/manifest.tsv"),
        ranking=result(f"{LAST.folder}/quality/images.tsv"),
        quality=result(f"{LAST.folder}/scores/quality.json"),
        published=result("<results>/tables/results.tsv"),
        health=result("<results>/health.json"),
        sweep=result(f"{LAST.folder}/sweep/points.json") if LAST.random_walk.chosen_keys else [],
    output:
        page="<results>/report/index.html",
        provenance="<results>/report/index.html.json",
    log:
        "<results>/logs/write_report.log",
    benchmark:
        "<results>/benchmarks/write_report.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=4000, runtime=60),
    params:
        **params_of("write_report"),
    message:
        "Write the report to browse"
    script:
        "../workflow_scripts/{params.script}.py"
