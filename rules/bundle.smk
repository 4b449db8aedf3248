"""Trained networks to take home: tensors, all that is needed to use them, and a model card with their scores.
The segmentation network is that of the last round.

Input: a network's checkpoint, the manifest of its training, its scores. Output: `bundle/<network>/`, a folder that
`wsss.load_model`, `wsss predict` and `wsss export model` read on any machine, without the study.
"""

BUNDLED_SCORES = {"classifier": "classifier", "affinitynet": "affinities", "segmenter": "segmentation"}


def bundled_networks():
    """The networks of the study that have a bundle; IRNet has none."""
    return [network for network in study.trained_networks if network in BUNDLED_SCORES]


for network, artifact in BUNDLED_SCORES.items():
    folder = LAST_ROUND if network == "segmenter" else "<results>"

    rule:
        """Write a network's tensors and the model card, and last the file that names their digest."""
        name:
            f"bundle_{network}"
        input:
            **{artifact: result(f"{folder}/scores/{artifact}.json")},
            checkpoint=result(f"{folder}/{network}/checkpoint.pt"),
            training=result(f"{folder}/{network}/checkpoint.pt.json"),
            images=result("<shared>/dataset/train.tsv"),
            corrected=corrected_masks() if network == "segmenter" else [],
            chosen=chosen_values() if network == "affinitynet" else [],
        output:
            weights=f"<results>/bundle/{network}/weights.safetensors",
            facts=f"<results>/bundle/{network}/model.json",
            card=f"<results>/bundle/{network}/README.md",
            provenance=f"<results>/bundle/{network}/weights.safetensors.json",
        log:
            f"<results>/logs/bundle_{network}.log",
        benchmark:
            f"<results>/benchmarks/bundle_{network}.tsv"
        conda:
            "../envs/wsss.yaml"
        resources:
            **asks(mem_mb=4000, runtime=30),
        params:
            **params_of(f"bundle_{network}"),
        message:
            f"Bundle: {TITLES[network]}"
        script:
            "../workflow_scripts/{params.script}.py"
