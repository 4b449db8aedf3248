"""Figures for people, gathered by `snakemake --report`.

Input: metrics, histories, and what the galleries show. Without true masks the galleries show the first images and
the last. Output: `report/`, figures for slides and pages for the report.
"""

ENDS = ["best", "worst"]
NETWORKS = {"classifier": "classifier", "affinitynet": "AffinityNet", "segmenter": "segmentation network"}


rule plot_scores:
    """Draw and tabulate the scores of all stages."""
    input:
        **{artifact: result(f"<results>/scores/{artifact}.json") for artifact in SCORED},
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
        mem_mb=2000,
        runtime=30,
    params:
        config=section_params(study, "plot_scores"),
        code=code_digest("workflow_scripts/plot_scores.py"),
    message:
        "Draw the scores"
    script:
        "../workflow_scripts/plot_scores.py"


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
                labels={"network": NETWORKS[network]},
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
        mem_mb=2000,
        runtime=30,
    params:
        config=section_params(study, "plot_history"),
        code=code_digest("workflow_scripts/plot_history.py"),
    message:
        "Draw the training curves"
    script:
        "../workflow_scripts/plot_history.py"


rule plot_train_gallery:
    """Show what each stage made of the training images with the best and the worst pseudo masks."""
    input:
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("train"),
        cams=all_shards("<results>/cams/{split}/{shard}.npz", "train"),
        labels=all_shards("<results>/confident/{shard}.h5", "train") if study.uses_affinitynet else [],
        pseudo_masks=all_shards("<results>/random_walk/{split}/{shard}.h5", "train"),
        checkpoint=result("<results>/segmenter/checkpoint.pt"),
    output:
        figures=expand("<results>/report/train_{end}.png", end=ENDS),
        pages=[
            report(
                f"<results>/report/train_{end}.html",
                caption="../report/train_gallery.rst",
                category="Gallery",
                labels={"split": "train", "images": end},
            )
            for end in ENDS
        ],
        provenance=expand("<results>/report/train_{end}.{kind}.json", end=ENDS, kind=["png", "html"]),
    log:
        "<results>/logs/plot_train_gallery.log",
    benchmark:
        "<results>/benchmarks/plot_train_gallery.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=section_params(study, "plot_train_gallery"),
        code=code_digest("workflow_scripts/plot_train_gallery.py"),
    message:
        "Draw the gallery of train"
    script:
        "../workflow_scripts/plot_train_gallery.py"


rule plot_val_gallery:
    """Show the unseen images with the best and the worst predictions."""
    input:
        images=result("<results>/dataset/manifest.tsv"),
        truth=true_masks("val"),
        masks=all_shards("<results>/segmentation/{split}/{shard}.h5", "val"),
    output:
        figures=expand("<results>/report/val_{end}.png", end=ENDS),
        pages=[
            report(
                f"<results>/report/val_{end}.html",
                caption="../report/val_gallery.rst",
                category="Gallery",
                labels={"split": "val", "images": end},
            )
            for end in ENDS
        ],
        provenance=expand("<results>/report/val_{end}.{kind}.json", end=ENDS, kind=["png", "html"]),
    log:
        "<results>/logs/plot_val_gallery.log",
    benchmark:
        "<results>/benchmarks/plot_val_gallery.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        config=section_params(study, "plot_val_gallery"),
        code=code_digest("workflow_scripts/plot_val_gallery.py"),
    message:
        "Draw the gallery of val"
    script:
        "../workflow_scripts/plot_val_gallery.py"
