"""The networks: the classifier, whose evidence becomes the CAMs (section 3.1), AffinityNet (section 3.2) or IRNet (of
another paper, Ahn, Cho & Kwak 2019), which learn from pairs of confident cells, and the segmentation network, which learns
from the pseudo masks (section 3.4).

Input: the training images and what is known of them. Output: `classifier/`, `affinitynet/`, `irnet/`, `segmenter/`. Only a
segmentation network with `supervision: full` may see true masks: those of the upper bound, which nothing else uses.
"""

LEARNS_FROM = {
    "classifier": {},
    "affinitynet": {"labels": confident_labels("affinitynet")},
    "irnet": {"labels": confident_labels("irnet")},
    "segmenter": (
        {"manifest": result("<shared>/dataset/manifest.tsv"), "truth": true_masks("train", scored=False)}
        if study.segmenter.supervision == "full"
        else {
            "masks": all_shards("<results>/random_walk/{split}/{shard}.h5", "train"),
            "margins": (
                all_shards("<results>/random_walk/margins/{split}/{shard}.h5", "train")
                if study.segmenter.least_margin
                else []
            ),
            "others": (
                all_shards(f"{study.segmenter.agreed_with}/{{split}}/{{shard}}.h5", "train")
                if study.segmenter.agreed_with
                else []
            ),
            "corrected": corrected_masks(),
        }
    ),
}
TITLES = {
    "classifier": "classifier",
    "affinitynet": "AffinityNet",
    "irnet": "IRNet",
    "segmenter": "segmentation network",
}


for network, labels in LEARNS_FROM.items():

    rule:
        """Train a network on all images of train; an interrupted training resumes."""
        name:
            f"train_{network}"
        input:
            **labels,
            images=result("<shared>/dataset/train.tsv"),
            classifier=classifier_file(network),
            weights=weights_file(network),
        output:
            checkpoint=f"<results>/{network}/checkpoint.pt",
            history=f"<results>/{network}/history.tsv",
            provenance=f"<results>/{network}/checkpoint.pt.json",
        log:
            f"<results>/logs/train_{network}.log",
        benchmark:
            f"<results>/benchmarks/train_{network}.tsv"
        conda:
            "../envs/wsss.yaml"
        threads: 8
        resources:
            **asks(gpu=1, mem_mb=16000, runtime=1440),
        params:
            **params_of(f"train_{network}"),
        message:
            f"Train: {TITLES[network]}{OF_STUDY}"
        script:
            "../workflow_scripts/{params.script}.py"
