"""AffinityNet, and the affinities that it sees between neighbouring cells of the stride-8 grid (section 3.2).

Input: the training images and their confident regions, or with `affinity: {kind: boundary}` boundary maps and no
training. Output: `affinitynet/`, `affinities/{split}/{shard}.h5`.
"""


rule train_affinitynet:
    """Train AffinityNet on pairs of confident cells."""
    input:
        images=result("<results>/dataset/train.tsv"),
        labels=all_shards("<results>/confident/{shard}.h5", "train") if study.affinitynet.epochs else [],
        classifier=classifier_file("affinitynet"),
        weights=weights_file("affinitynet"),
    output:
        checkpoint="<results>/affinitynet/checkpoint.pt",
        history="<results>/affinitynet/history.tsv",
        provenance="<results>/affinitynet/checkpoint.pt.json",
    log:
        "<results>/logs/train_affinitynet.log",
    benchmark:
        "<results>/benchmarks/train_affinitynet.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=1440,
    params:
        config=section_params(study, "train_affinitynet"),
        code=code_digest("workflow_scripts/train_affinitynet.py"),
    message:
        "Train AffinityNet"
    script:
        "../workflow_scripts/train_affinitynet.py"


if study.uses_affinitynet:

    rule compute_affinities:
        """Compute and keep the affinities of one shard, before the power beta: sweeps of alpha, beta, t start here."""
        input:
            images=result("<results>/dataset/{split}/{shard}.tsv"),
            checkpoint=result("<results>/affinitynet/checkpoint.pt"),
        output:
            affinities="<results>/affinities/{split}/{shard}.h5",
            provenance="<results>/affinities/{split}/{shard}.h5.json",
        log:
            "<results>/logs/compute_affinities/{split}/{shard}.log",
        benchmark:
            "<results>/benchmarks/compute_affinities/{split}/{shard}.tsv"
        conda:
            "../envs/wsss.yaml"
        threads: 8
        resources:
            gpu=1,
            mem_mb=8000,
            runtime=240,
        params:
            config=section_params(study, "compute_affinities"),
            code=code_digest("workflow_scripts/compute_affinities.py"),
        message:
            "Compute affinities, {wildcards.split} {wildcards.shard}"
        script:
            "../workflow_scripts/compute_affinities.py"

else:

    rule compute_boundary_affinities:
        """Turn the boundary maps of one shard into affinities, before the power beta."""
        input:
            images=result("<results>/dataset/{split}/{shard}.tsv"),
        output:
            affinities="<results>/affinities/{split}/{shard}.h5",
            provenance="<results>/affinities/{split}/{shard}.h5.json",
        log:
            "<results>/logs/compute_boundary_affinities/{split}/{shard}.log",
        benchmark:
            "<results>/benchmarks/compute_boundary_affinities/{split}/{shard}.tsv"
        conda:
            "../envs/wsss.yaml"
        threads: 8
        resources:
            mem_mb=4000,
            runtime=60,
        params:
            files=files_of_shard("affinity.boundaries", study.affinity.boundaries),
            config=section_params(study, "compute_boundary_affinities"),
            code=code_digest("workflow_scripts/compute_boundary_affinities.py"),
        message:
            "Compute affinities from boundaries, {wildcards.split} {wildcards.shard}"
        script:
            "../workflow_scripts/compute_boundary_affinities.py"
