"""All scores as tables, in HTML."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from wsss.report.figures.scores import CAM, PSEUDO_MASK, SEGMENTATION, Metrics, Scored, scored_stages
from wsss.report.figures.style import MUTED
from wsss.report.rendering import render
from wsss.report.rounds import RoundScores, of_inner, scores_of_rounds, share_sentence
from wsss.report.sections import Cell, Line, Section

_POINT = ("background", "alpha", "constant", "beta", "t", "normalize")


def score_table(metrics: Mapping[str, Metrics]) -> Markup:
    """Lay out all scores of a study, and say how they are counted.

    Args:
        metrics: by artifact, with "cams", "affinities", "random_walk", "segmentation", and "classifier" and
            "confident" if the study has them.
    """
    stages, scored_on_train = scored_stages(metrics), bool(metrics["cams"]["scored_images"])
    before_segmentation = len(stages) - bool(metrics["segmentation"]["scored_images"])
    on_train = metrics["segmentation"].get("train", {})
    if on_train.get("scored_images"):
        stages.insert(before_segmentation, Scored(*SEGMENTATION, on_train))
    if scored_on_train:
        ceiling = Scored("over true affinities", MUTED, metrics["affinities"]["ceiling"])
        stages.insert(before_segmentation, ceiling)
    sections = [_iou_table(stages)] if stages else []
    if scored_on_train:
        sections.append(_backgrounds(metrics["cams"]))
        sections += [_confident_regions(metrics["confident"])] if "confident" in metrics else []
        sections.append(_affinities(metrics["affinities"]))
    if "classifier" in metrics:  # JSON is sorted by key; the others record the order of the mask values
        sections.append(_classifier(metrics["classifier"], metrics["cams"]["value_names"]))
    rounds = scores_of_rounds(metrics)
    if len(rounds) > 1:
        sections.insert(bool(stages), _rounds(rounds))
    return render("scores", sections=sections, **_protocols(metrics))


def sweep_table(
    ranking: Mapping[str, Any], finished: Mapping[str, Any] | None = None, count: int = 20
) -> Markup:
    """Lay out the best points of a sweep, and say how they are counted.

    Args:
        ranking: `sweep/points.json`.
        finished: `sweep/finished.json` or `chosen.json`, whose points come first.
        count: the most points of the ranking.
    """
    shares, numbers = ("miou", "agreement", "changed", "vanished"), ("label_free", "alignment")
    head = ["rank", *_POINT, *(f"{name} in %" for name in shares), *numbers]
    lines = [
        _line(
            str(point["rank"]),
            [Cell(_setting(point[key])) for key in _POINT]
            + [percent_cell(point[name]) for name in shares]
            + [Cell(_two_digits(point[name])) for name in numbers],
        )
        for point in ranking["points"][:count]
    ]
    known = ranking["correlation"] or {}
    best = Section(f"The best {len(lines)} points", tuple(map(Cell, head)), tuple(lines), "wide")
    refined = [finished] if finished and finished["dense_crf"] and finished["finalists"] else []
    return render(
        "sweep",
        sections=[*map(_finished, refined), best],
        correlation=", ".join(f"{name} {_two_digits(value)}" for name, value in known.items()),
        protocol=ranking["protocol"],
    )


def _finished(finished: Mapping[str, Any]) -> Section:
    """The first points of a sweep with the dense CRF, the best of them first."""
    points = sorted(finished["finalists"], key=lambda point: point["finished"], reverse=True)
    lines = [
        _line(
            str(place),
            [Cell(_setting(point[key])) for key in _POINT]
            + [percent_cell(point["swept"]), percent_cell(point["finished"])],
        )
        for place, point in enumerate(points, 1)
    ]
    name = f"{finished['criterion']} in %"
    head = ("rank", *_POINT, f"{name}, without dense CRF", f"{name}, with it")
    alone = f"The CAMs have {100 * finished['score_of_cams']:.1f} with it, without a walk."
    note = f"{finished['images']} images. {alone}"
    return Section("The first points with the dense CRF", tuple(map(Cell, head)), tuple(lines), "wide", note)


def _setting(value: object) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _iou_table(stages: Sequence[Scored]) -> Section:
    head = [Cell(name, colour=colour, detail=_counted(metrics)) for name, colour, metrics in stages]
    mean = _line("mean", [percent_cell(metrics["miou"], colour) for _, colour, metrics in stages], "mean")
    lines = [
        _line(name, [percent_cell(metrics["iou"][name], colour) for _, colour, metrics in stages])
        for name in stages[0].metrics["value_names"]
    ]
    return Section("", (Cell("IoU in %"), *head), (mean, *lines))


def _rounds(rounds: list[RoundScores]) -> Section:
    head = map(
        Cell, ("mIoU in %", "CAMs or seeds", "pseudo masks", "segmentation, train", "segmentation, val")
    )
    colours = (CAM[1], PSEUDO_MASK[1], SEGMENTATION[1], SEGMENTATION[1])
    lines = [
        _line(name, [percent_cell(share, colour) for share, colour in zip(scores, colours, strict=True)])
        for name, *scores in rounds
    ]
    return Section("Rounds", tuple(head), tuple(lines), note=share_sentence(rounds))


def _backgrounds(cams: Metrics) -> Section:
    lines = []
    for name, key in (("constant", "constants"), ("α", "alphas")):
        setting, miou = max(cams[key].items(), key=lambda item: item[1])
        lines.append(_line(name, [Cell(setting), percent_cell(miou)]))
    return Section("CAMs and their background", _head("background", "best", "mIoU in %"), tuple(lines))


def _confident_regions(confident: Metrics) -> Section:
    lines = [
        _line(name, [percent_cell(confident[f"{key}_{figure}"]) for figure in ("share", "precision")])
        for name, key in (("background", "background"), ("classes", "foreground"))
    ]
    return Section("Confident regions", _head("in %", "share of pixels", "of these right"), tuple(lines))


def _affinities(affinities: Metrics) -> Section:
    lines = [
        _line(name, [Cell(_two_digits(affinities[key]))])
        for name, key in (("truly equal", "equal"), ("truly different: the leak", "different"))
    ]
    power = Markup("mean W<sup>β</sup>, β = {}").format(f"{affinities['beta']:g}")
    return Section("Affinities of neighbours", _head("neighbours", power), tuple(lines))


def _classifier(classifier: Metrics, value_names: Sequence[str]) -> Section:
    mean = _line("mean", [percent_cell(classifier["map"])], "mean")
    precision = classifier["average_precision"]
    lines = [_line(name, [percent_cell(precision[name])]) for name in value_names if name in precision]
    head = Cell("class"), Cell("average precision in %", detail=_counted(classifier))
    return Section("Classifier", head, (mean, *lines))


def _protocols(metrics: Mapping[str, Metrics]) -> dict[str, Any]:
    """How each artifact's scores are counted, in the words of `wsss.stages.scores`; first what they share."""
    shared = metrics["random_walk"]["protocol"]
    own = {
        name: found["protocol"].removeprefix(shared).strip()
        for name, found in metrics.items()
        if not of_inner(name)
    }
    return {"shared": shared, "protocols": {name: text for name, text in own.items() if text}}


def _counted(metrics: Metrics) -> str:
    return f"{metrics['scored_images']} {metrics['split']}"


def _head(*names: str) -> tuple[Cell, ...]:
    return tuple(map(Cell, names))


def _line(name: str, cells: Iterable[Cell], kind: str = "") -> Line:
    return Line((Cell(name), *cells), kind)


def percent_cell(share: float | None, colour: str = MUTED) -> Cell:
    """Make a cell of a share in [0, 1], with a bar as long as it is; nothing is known of None and nan."""
    if share is None or math.isnan(share):
        return Cell("–", None, colour)
    return Cell(f"{100 * share:.1f}", share, colour)


def _two_digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
