"""The files of a study's tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup

from wsss.report.figures import write_page
from wsss.report.rounds import RoundScores
from wsss.report.tables.comparison import column_names, comparison, has_voc_classes
from wsss.report.tables.layout import decimal, html, markdown
from wsss.report.tables.published import Published, read_published, read_stages
from wsss.report.tables.results import Result
from wsss.results import write_text
from wsss.study.cells import cell


def write_tables(
    folder: Path,
    study: str,
    results: Sequence[Result],
    data: tuple[Path, Path],
    rounds: list[RoundScores],
    *notices: Markup,
) -> None:
    """Write `results.md`, `results.html` and `results.tsv`.

    Args:
        folder: where to.
        study: its name.
        results: what was scored.
        data: files of the published results, and of the published stages.
        rounds: of the study, and full supervision, see `wsss.report.rounds`.
        notices: for the top of the page.
    """
    published, title = read_published(data[0]), f"{study} beside the published results"
    parts = comparison(study, results, published, read_stages(data[1]), rounds)
    write_text(folder / "results.md", markdown(title, parts))
    write_text(folder / "results.tsv", tab_separated(study, results, published))
    write_page(folder / "results.html", title, *notices, html(parts))


def tab_separated(study: str, results: Sequence[Result], published: Iterable[Published]) -> str:
    """Write the study's rows with the columns of `published_results.tsv`, and its rows too if comparable.

    Methods of the study are called `<study>, <stage>`; table 2 is segmentation on val.
    """
    names = column_names(results) if results else ("mean",)
    lines = [[*Published._fields[:5], *names]]
    for result in results:
        table = "2" if result.name == "segmentation val" else ""
        means = ("" if share is None else f"{100 * share:.2f}" for share in result.means)
        lines.append([table, result.split, f"{study}, {result.stage}", "image", "", *means])
    if results and has_voc_classes(results):
        lines += [
            [*row[:5], *("" if value is None else decimal(value) for value in (*row.iou, row.mean))]
            for row in published
        ]
    return "".join("\t".join(map(str, map(cell, line))) + "\n" for line in lines)
