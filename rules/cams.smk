"""Class activation maps: where in each image the classifier finds each of the image's classes (section 3.1).

Input: the classifier or the files of another system, one shard of images. Output: `cams/{split}/{shard}.npz`.
"""

if study.cam.source == "classifier":

    rule compute_cams:
        """Compute the CAMs of one shard, over several scales and flips."""
        input:
            images=result("<results>/dataset/{split}/{shard}.tsv"),
            checkpoint=result("<results>/classifier/checkpoint.pt"),
        output:
            cams="<results>/cams/{split}/{shard}.npz",
            provenance="<results>/cams/{split}/{shard}.npz.json",
        log:
            "<results>/logs/compute_cams/{split}/{shard}.log",
        benchmark:
            "<results>/benchmarks/compute_cams/{split}/{shard}.tsv"
        conda:
            "../envs/wsss.yaml"
        threads: 8
        resources:
            gpu=1,
            mem_mb=8000,
            runtime=240,
        params:
            config=section_params(study, "compute_cams"),
            code=code_digest("workflow_scripts/compute_cams.py"),
        message:
            "Compute CAMs, {wildcards.split} {wildcards.shard}"
        script:
            "../workflow_scripts/compute_cams.py"

else:

    rule import_cams:
        """Read the CAMs that another system has computed for the images of one shard, and check them."""
        input:
            images=result("<results>/dataset/{split}/{shard}.tsv"),
        output:
            cams="<results>/cams/{split}/{shard}.npz",
            provenance="<results>/cams/{split}/{shard}.npz.json",
        log:
            "<results>/logs/import_cams/{split}/{shard}.log",
        benchmark:
            "<results>/benchmarks/import_cams/{split}/{shard}.tsv"
        conda:
            "../envs/wsss.yaml"
        threads: 8
        resources:
            mem_mb=4000,
            runtime=60,
        params:
            files=files_of_shard("cam.folder", study.cam.folder),
            config=section_params(study, "import_cams"),
            code=code_digest("workflow_scripts/import_cams.py"),
        message:
            "Import CAMs, {wildcards.split} {wildcards.shard}"
        script:
            "../workflow_scripts/import_cams.py"
