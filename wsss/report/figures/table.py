"""All scores as tables, in HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from wsss.report.figures.scores import Scored, Scores, scored_stages
from wsss.report.figures.style import MUTED


def score_table(metrics: Mapping[str, Scores]) -> str:
    """Lay out all scores of a study, and say how they are counted.

    Args:
        metrics: by artifact, with "cams", "affinities", "random_walk", "segmentation", and "classifier" and
            "confident" if the study has them.
    """
    stages, scored_on_train = scored_stages(metrics), bool(metrics["cams"]["scored_images"])
    if scored_on_train:
        before_segmentation = len(stages) - bool(metrics["segmentation"]["scored_images"])
        ceiling = Scored("over true affinities", MUTED, metrics["affinities"]["ceiling"])
        stages.insert(before_segmentation, ceiling)
    sections = [_iou_table(stages)] if stages else []
    if scored_on_train:
        sections.append(_backgrounds(metrics["cams"]))
        sections += [_confident_regions(metrics["confident"])] if "confident" in metrics else []
        sections.append(_affinities(metrics["affinities"]))
    sections += [_classifier(metrics["classifier"])] if "classifier" in metrics else []
    return _lines([*sections, _protocols(metrics)])


def sweep_table(ranking: Mapping[str, Any], count: int = 20) -> str:
    """Lay out the best points of a sweep, and say how they are counted; `ranking` is `sweep/points.json`."""
    keys = ("background", "alpha", "constant", "beta", "t", "normalize")
    shares, numbers = ("miou", "agreement", "changed", "vanished"), ("label_free", "contrast")
    head = ["rank", *keys, *(f"{name} in %" for name in shares), *numbers]
    rows = [
        _row(
            str(point["rank"]),
            [f"<td>{_setting(point[key])}</td>" for key in keys]
            + [_percent(point[name]) for name in shares]
            + [f"<td>{_two_digits(point[name])}</td>" for name in numbers],
        )
        for point in ranking["points"][:count]
    ]
    sections = [f"<h2>The best {len(rows)} points</h2>", _table(head, rows, "wide")]
    if ranking["correlation"]:
        known = ", ".join(f"{name} {_two_digits(value)}" for name, value in ranking["correlation"].items())
        sections.append(f'<p class="note">Rank correlation with mIoU over all points: {known}.</p>')
    return _lines([*sections, f'<p class="note">{escape(ranking["protocol"])}</p>'])


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _iou_table(stages: Sequence[Scored]) -> str:
    head = [
        f'<span style="color:{colour}">{name}</span><br>{_counted(scores)}' for name, colour, scores in stages
    ]
    mean = _row("mean", (_percent(scores["miou"], colour) for _, colour, scores in stages), "mean")
    return _table(
        ["IoU in %", *head],
        [mean]
        + [
            _row(escape(kind), (_percent(scores["iou"][kind], colour) for _, colour, scores in stages))
            for kind in stages[0].scores["classes"]
        ],
    )


def _backgrounds(cams: Scores) -> str:
    rows = []
    for name, key in (("constant", "constants"), ("α", "alphas")):
        setting, miou = max(cams[key].items(), key=lambda item: item[1])
        rows.append(_row(name, [f"<td>{setting}</td>", _percent(miou)]))
    return "<h2>CAMs and their background</h2>\n" + _table(["background", "best", "mIoU in %"], rows)


def _confident_regions(confident: Scores) -> str:
    rows = [
        _row(name, (_percent(confident[f"{key}_{figure}"]) for figure in ("share", "precision")))
        for name, key in (("background", "background"), ("classes", "foreground"))
    ]
    return "<h2>Confident regions</h2>\n" + _table(["in %", "share of pixels", "of these right"], rows)


def _affinities(affinities: Scores) -> str:
    rows = [
        _row(name, [f"<td>{_two_digits(affinities[key])}</td>"])
        for name, key in (("truly equal", "equal"), ("truly different: the leak", "different"))
    ]
    power = f"mean W<sup>β</sup>, β = {affinities['beta']:g}"
    return "<h2>Affinities of neighbours</h2>\n" + _table(["neighbours", power], rows)


def _classifier(classifier: Scores) -> str:
    precision = classifier["average_precision"].items()
    mean = _row("mean", [_percent(classifier["map"])], "mean")
    rows = [mean, *(_row(escape(kind), [_percent(value)]) for kind, value in precision)]
    head = ["class", f"average precision in %<br>{_counted(classifier)}"]
    return "<h2>Classifier</h2>\n" + _table(head, rows)


def _protocols(metrics: Mapping[str, Scores]) -> str:
    """Say how each artifact's scores are counted, in the words of `wsss.stages.scores`."""
    shared = metrics["random_walk"]["protocol"]
    own = {name: scores["protocol"].removeprefix(shared).strip() for name, scores in metrics.items()}
    items = [f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in own.items() if text]
    return f'<h2>How this is counted</h2>\n<p class="note">{escape(shared)}</p>\n<dl>{_lines(items)}</dl>'


def _counted(scores: Scores) -> str:
    return f"<small>{scores['scored_images']} {scores['split']}</small>"


def _table(head: Sequence[str], rows: Iterable[str], kind: str = "") -> str:
    cells = "".join(f"<th>{name}</th>" for name in head)
    return f'<table class="{kind}"><thead><tr>{cells}</tr></thead>\n<tbody>{_lines(rows)}</tbody></table>'


def _row(name: str, cells: Iterable[str], kind: str = "") -> str:
    return f'<tr class="{kind}"><td>{name}</td>{"".join(cells)}</tr>'


def _percent(share: float | None, colour: str = MUTED) -> str:
    """Make a cell of a share in [0, 1], with a bar as long as it is."""
    text = "–" if share is None else f"{100 * share:.1f}"
    return f'<td style="--share:{share or 0:.3f};--tint:{colour}">{text}</td>'


def _two_digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"


def _lines(items: Iterable[str]) -> str:
    return "\n".join(items)
