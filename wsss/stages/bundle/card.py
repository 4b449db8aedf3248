"""The model card of a bundle, `README.md`: what the network is, its data, scores, use and limits."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from wsss.study.bundle import Bundle

READS = "templates/*.j2"
"""Files whose content counts as this module's code, see `wsss.study.code_digest`."""

Scores = Mapping[str, Mapping[str, Any]]

TITLES = {
    "classifier": "classifier",
    "affinitynet": "AffinityNet",
    "segmenter": "segmentation network",
}


def model_card(bundle: Bundle, scores: Scores, parameters: int) -> str:
    """Write the model card as Markdown.

    Args:
        bundle: what the bundle says of itself.
        scores: content of `scores/<artifact>.json` by artifact: of `classifier`, `affinities` or
            `segmentation`, as far as there are any.
        parameters: number of trained parameters.
    """
    columns = {
        "classifier": _precision(scores.get("classifier", {})),
        "affinitynet": {},
        "segmenter": _ious(scores.get("segmentation", {})),
    }[bundle.network]
    template = _environment().get_template("card.md.j2")
    return template.render(
        bundle=bundle,
        title=TITLES[bundle.network],
        parameters=f"{parameters:,}",
        table="\n".join(_table(bundle, columns)),
        results=_results(bundle, scores),
        made_of=_made_of(bundle),
    )


def markdown_text(text: str) -> str:
    """Make any text safe within a line or a table cell of Markdown."""
    plain = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]|#!" else letter for letter in plain)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("wsss.stages.bundle"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["text"] = markdown_text
    return environment


def _ious(segmentation: Mapping[str, Any]) -> dict[str, Mapping[str, float | None]]:
    """IoU by name for each split that was scored."""
    splits = [segmentation, segmentation.get("train", {})]
    return {f"IoU on {split['split']}": split["iou"] for split in splits if split.get("scored_images")}


def _precision(classifier: Mapping[str, Any]) -> dict[str, Mapping[str, float | None]]:
    if not classifier.get("scored_images"):
        return {}
    return {f"average precision on {classifier['split']}": classifier["average_precision"]}


def _table(bundle: Bundle, columns: Mapping[str, Mapping[str, float | None]]) -> Iterable[str]:
    counts = bundle.provenance.training_images_of_class
    heads = ["mask value", "class", "training images with it", *columns]
    yield f"| {' | '.join(heads)} |"
    yield "|" + " --: | --- |" + " --: |" * (len(heads) - 2)
    for value, name in enumerate(bundle.value_names):
        images = counts.get(name) if value else None
        cells = ["" if images is None else str(images), *(_percent(of.get(name)) for of in columns.values())]
        yield f"| {value} | {markdown_text(name)} | {' | '.join(cells)} |"


def _results(bundle: Bundle, scores: Scores) -> list[str]:
    """A sentence per score of all classes together, with the number of images."""
    if bundle.network == "classifier":
        found = scores.get("classifier", {})
        images = f"{found.get('scored_images')} images of {found.get('split')}"
        return [f"mAP {_percent(found['map'])} on {images}, by their labels."] if found else []
    if bundle.network == "affinitynet":
        found = scores.get("affinities", {})
        if not found.get("scored_images"):
            return []
        return [
            f"Mean affinity, to the power {found['beta']:g}, of neighbouring cells on "
            f"{found['scored_images']} images with masks: {found['equal']:.3f} where their classes are "
            f"equal, {found['different']:.3f} where they differ."
        ]
    found = scores.get("segmentation", {})
    splits = [split for split in (found, found.get("train", {})) if split.get("scored_images")]
    return [
        f"mIoU {_percent(split['miou'])} on {split['scored_images']} images of {split['split']} with masks."
        for split in splits
    ]


def _made_of(bundle: Bundle) -> str:
    section = bundle.section
    parts = [f"backbone {section.backbone}"]
    if bundle.network == "segmenter":
        parts.insert(0, f"head {bundle.section.head}")
    start = section.weights
    known = {
        "none": "random weights",
        "imagenet": "ImageNet weights",
        "classifier": "the classifier's weights",
    }
    return f"{', '.join(parts)}, started from {known.get(start, 'weights from a file')}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"
