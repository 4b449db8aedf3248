"""Training images with the best and the worst pseudo masks, and what each stage made of them."""

from typing import TYPE_CHECKING

from wsss.data import Manifest
from wsss.models.checkpoints import restore_segmenter
from wsss.report.exhibits import best_and_worst, exhibits_of
from wsss.report.figures import pictures, plot_gallery, write_figure, write_page
from wsss.results import open_shards, read_cams, read_masks, read_pseudo_masks
from wsss.stages.job import Stage
from wsss.stages.segmentation import segment

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with (
    Stage(snakemake) as stage,
    open_shards(snakemake.input.cams, read_cams) as cams,
    open_shards(snakemake.input.labels, read_masks) as labels,
    open_shards(snakemake.input.pseudo_masks, read_pseudo_masks) as pseudo_masks,
):
    manifest, count = Manifest.read(snakemake.input.images), stage.config["report"]["gallery"]
    best, worst = best_and_worst(
        manifest, "train", lambda name: pseudo_masks[name].mask, count, "pseudo masks"
    )
    shown = best.rows + worst.rows
    compute = stage.compute
    model = compute.place(restore_segmenter(snakemake.input.checkpoint))
    settings = {key: stage.config["segmentation"][key] for key in ("scales", "flip")}
    settings["dense_crf"] = stage.config.get("dense_crf")
    masks = {
        **({"confident": labels} if labels else {}),
        "pseudo mask": {row.id: pseudo_masks[row.id].mask for row in shown},
        "prediction": dict(segment(model, shown, **settings, compute=compute)),
    }
    for figure, page, selection in zip(
        snakemake.output.figures, snakemake.output.pages, (best, worst), strict=True
    ):
        write_figure(figure, plot_gallery(exhibits_of(selection, masks, cams), *selection[1:]))
        write_page(page, selection.title, pictures(figure))
