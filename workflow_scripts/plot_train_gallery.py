"""Training images with the best and the worst pseudo masks, and what each stage made of them."""

from typing import TYPE_CHECKING

from wsss.artifacts import open_shards, read_cams, read_masks, read_pseudo_masks
from wsss.checkpoints import restore_segmenter
from wsss.datasets import Manifest
from wsss.exhibits import best_and_worst, exhibits_of
from wsss.figures import plot_gallery, write_figure
from wsss.inference import segment
from wsss.loading import Compute
from wsss.runtime import Stage, worker_count

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with (
    Stage(snakemake) as stage,
    open_shards(snakemake.input.cams, read_cams) as cams,
    open_shards(snakemake.input.labels, read_masks) as labels,
    open_shards(snakemake.input.pseudo_masks, read_pseudo_masks) as pseudo_masks,
):
    manifest, count = Manifest.read(snakemake.input.images), stage.config["report"]["gallery"]
    compute = Compute(stage.device, stage.config["precision"], worker_count(stage.threads))
    model = compute.place(restore_segmenter(snakemake.input.checkpoint))
    scales, flip = (stage.config["segmentation"][key] for key in ("scales", "flip"))
    dense_crf = stage.config.get("dense_crf")
    selections = best_and_worst(
        manifest, "train", lambda name: pseudo_masks[name].mask, count, "pseudo masks"
    )
    for path, selection in zip((snakemake.output.best, snakemake.output.worst), selections, strict=True):
        masks = {
            "confident": labels,
            "pseudo mask": {row.id: pseudo_masks[row.id].mask for row in selection.rows},
            "prediction": dict(
                segment(model, selection.rows, scales=scales, flip=flip, compute=compute, dense_crf=dense_crf)
            ),
        }
        exhibits = exhibits_of(selection, masks, cams)
        figure = plot_gallery(exhibits, selection.classes, selection.title, selection.subtitle)
        write_figure(path, figure)
