"""The multi-label classifier whose evidence becomes the CAMs (section 3.1).

Input: the training images and their labels. Output: `classifier/`.
"""


rule train_classifier:
    """Train the classifier on the image-level labels of train."""
    input:
        images=result("<results>/dataset/train.tsv"),
        weights=weights_file("classifier"),
    output:
        checkpoint="<results>/classifier/checkpoint.pt",
        history="<results>/classifier/history.tsv",
        provenance="<results>/classifier/checkpoint.pt.json",
    log:
        "<results>/logs/train_classifier.log",
    benchmark:
        "<results>/benchmarks/train_classifier.tsv"
    conda:
        "../envs/wsss.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=16000,
        runtime=1440,
    params:
        config=section_params(study, "train_classifier"),
        code=code_digest("workflow_scripts/train_classifier.py"),
    message:
        "Train the classifier"
    script:
        "../workflow_scripts/train_classifier.py"
