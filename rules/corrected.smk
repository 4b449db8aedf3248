"""Masks that people have corrected, from which the segmentation network learns in place of the pseudo masks of their
images (`segmenter.corrected`).

Input: a folder of palette PNGs, or of files of labelme's or CVAT's, and the training images. Output: `corrected/`.
"""


rule check_corrected:
    """Check size and values of every mask as soon as the images are known, long before the training that reads them."""
    input:
        files=files_of_corrected,
        images=result("<shared>/dataset/train.tsv"),
    output:
        masks="<shared>/corrected/train.h5",
        provenance="<shared>/corrected/train.h5.json",
    log:
        "<results>/logs/check_corrected.log",
    benchmark:
        "<results>/benchmarks/check_corrected.tsv"
    priority: 1
    conda:
        "../envs/wsss.yaml"
    resources:
        **asks(mem_mb=2000, runtime=60),
    params:
        **params_of("check_corrected"),
    message:
        "Check the corrected masks"
    script:
        "../workflow_scripts/{params.script}.py"
