"""New photographs, in any number: `snakemake predict --config 'predict={images: my_photographs}'`.

Input: the segmentation network's bundle, and the photographs. Output: `predict/`, masks and overlays by image, and
`classes.csv`. A new photograph recomputes its shard; `wsss predict` does the same in one process.
"""


rule predict_images:
    """Segment the photographs of a shard, and write its table last, which is the output that Snakemake knows."""
    input:
        facts=result("<results>/bundle/segmenter/model.json"),
        weights=result("<results>/bundle/segmenter/weights.safetensors"),
        images=new_images_of_shard,
    output:
        table="<results>/predict/shards/{shard}.tsv",
        provenance="<results>/predict/shards/{shard}.tsv.json",
    log:
        "<results>/logs/predict_images/{shard}.log",
    benchmark:
        "<results>/benchmarks/predict_images/{shard}.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: threads_of_shards(others=study.predict.shards)
    resources:
        **asks(gpu=1, mem_mb=8000, runtime=240),
    params:
        **params_of("predict_images"),
    message:
        "Predict new photographs, {wildcards}"
    script:
        "../workflow_scripts/{params.script}.py"


rule collect_predictions:
    """List the classes of all photographs, and remove the masks of those that are gone."""
    input:
        shards=predicted_shards,
    output:
        table="<results>/predict/classes.csv",
        provenance="<results>/predict/classes.csv.json",
    log:
        "<results>/logs/collect_predictions.log",
    benchmark:
        "<results>/benchmarks/collect_predictions.tsv"
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=30),
    params:
        **params_of("collect_predictions"),
    message:
        "Collect the predictions"
    script:
        "../workflow_scripts/{params.script}.py"


rule predict:
    input:
        rules.collect_predictions.output,
    message:
        "New photographs are predicted"
