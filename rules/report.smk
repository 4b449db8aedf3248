"""Figures for people, gathered by `snakemake --report`.

Input: scores, histories, and what the galleries show; no rule here runs a network. Without true masks the galleries
show the first images and the last. Output: `report/`, figures for slides and pages for the report.
"""

ENDS = ["best", "worst"]


rule plot_scores:
    """Draw and tabulate the scores of all stages."""
    input:
        **{artifact: result(f"<results>/scores/{artifact}.json") for artifact in study.scored_artifacts},
        **scores_within(),
        health=result("<results>/health.json"),
    output:
        classes="<results>/report/scores.png",
        backgrounds="<results>/report/backgrounds.png",
        page=report(
            "<results>/report/scores.html",
            caption="../report/scores.rst",
            category="Scores",
            labels={"scores": "of all stages"},
        ),
        provenance=expand(
            "<results>/report/{file}.json", file=["scores.png", "backgrounds.png", "scores.html"]
        ),
    log:
        "<results>/logs/plot_scores.log",
    benchmark:
        "<results>/benchmarks/plot_scores.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=30),
    params:
        **params_of("plot_scores"),
    message:
        f"Draw the scores{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"


rule plot_history:
    """Draw the curves of the trainings."""
    input:
        **{network: result(f"<results>/{network}/history.tsv") for network in study.trained_networks},
        reached=result("<results>/scores/classifier.json") if study.uses_classifier else [],
    output:
        **{
            network: report(
                f"<results>/report/{network}.png",
                caption="../report/history.rst",
                category="Training",
                labels={"network": TITLES[network]},
            )
            for network in study.trained_networks
        },
        provenance=expand("<results>/report/{network}.png.json", network=study.trained_networks),
    log:
        "<results>/logs/plot_history.log",
    benchmark:
        "<results>/benchmarks/plot_history.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=30),
    params:
        **params_of("plot_history"),
    message:
        f"Draw the training curves{OF_STUDY}"
    script:
        "../workflow_scripts/{params.script}.py"


GALLERIES = {
    "train": {
        "cams": all_shards("<results>/cams/{split}/{shard}.npz", "train"),
        "labels": all_shards("<results>/confident/{shard}.h5", "train") if study.uses_confident else [],
        "masks": all_shards("<results>/random_walk/{split}/{shard}.h5", "train"),
        "masks_table": result("<results>/scores/random_walk.tsv"),
    },
    "val": {},
}


for split, shown in GALLERIES.items():

    rule:
        """Show the images of a split with the best and the worst masks, and what each stage made of them."""
        name:
            f"plot_{split}_gallery"
        input:
            **shown,
            **segmentation_of(split),
            images=result("<shared>/dataset/manifest.tsv"),
            truth=true_masks(split),
        output:
            figures=expand("<results>/report/{split}_{end}.png", split=split, end=ENDS),
            pages=[
                report(
                    f"<results>/report/{split}_{end}.html",
                    caption=f"../report/{split}_gallery.rst",
                    category="Gallery",
                    labels={"split": split, "images": end},
                )
                for end in ENDS
            ],
            provenance=expand(
                "<results>/report/{split}_{end}.{kind}.json", split=split, end=ENDS, kind=["png", "html"]
            ),
        log:
            f"<results>/logs/plot_{split}_gallery.log",
        benchmark:
            f"<results>/benchmarks/plot_{split}_gallery.tsv"
        conda:
            "../envs/wsss.yaml"
        resources:
            **asks(mem_mb=4000, runtime=60),
        params:
            **params_of(f"plot_{split}_gallery"),
        message:
            f"Draw the gallery of {split}{OF_STUDY}"
        script:
            "../workflow_scripts/{params.script}.py"
