"""The study's scores beside the published ones, in the paper's columns; `make tables` prints them.

Input: metrics, and the published results that come with the package. Output: `tables/results.{md,tsv,html}`.
"""

PUBLISHED = ROOT / "wsss" / "report" / "tables"


rule write_tables:
    """Set the scores beside the paper's tables where the classes are VOC's, and name the protocol."""
    input:
        **{
            artifact: result(f"<results>/scores/{artifact}.json")
            for artifact in ("cams", "random_walk", "segmentation")
        },
        **scores_within(),
        chosen=chosen_values(),
        health=result("<results>/health.json"),
        published=os.path.relpath(PUBLISHED / "published_results.tsv"),
        stages=os.path.relpath(PUBLISHED / "published_stages.tsv"),
    output:
        markdown="<results>/tables/results.md",
        values="<results>/tables/results.tsv",
        page=report(
            "<results>/tables/results.html",
            caption="../report/tables.rst",
            category="Scores",
            labels={"scores": "beside the published"},
        ),
        provenance=expand("<results>/tables/results.{kind}.json", kind=["md", "tsv", "html"]),
    log:
        "<results>/logs/write_tables.log",
    benchmark:
        "<results>/benchmarks/write_tables.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=30),
    params:
        **params_of("write_tables"),
    message:
        "Set the scores beside the published ones"
    script:
        "../workflow_scripts/{params.script}.py"
