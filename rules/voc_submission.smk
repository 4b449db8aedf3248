"""The archive for the evaluation server of PASCAL VOC, made by `snakemake voc_submission` alone.

Input: the segmentation of the test images, which `dataset: {kind: voc12, test: true}` lists. Output:
`voc_submission/results.tgz`.
"""


rule voc_submission:
    """Pack the masks of the test images, and check the archive before it gets its name."""
    input:
        images=of_test(result("<shared>/dataset/test.tsv")),
        masks=of_test(all_shards(f"{LAST_ROUND}/segmentation/{{split}}/{{shard}}.h5", "test")),
    output:
        archive="<results>/voc_submission/results.tgz",
        provenance="<results>/voc_submission/results.tgz.json",
    log:
        "<results>/logs/voc_submission.log",
    benchmark:
        "<results>/benchmarks/voc_submission.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=60),
    params:
        **params_of("voc_submission"),
    message:
        "Pack the masks of the test images"
    script:
        "../workflow_scripts/{params.script}.py"
