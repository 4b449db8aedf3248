"""Tables of tab-separated values with fixed columns, whose rows have a key."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from wsss.results.files import ArtifactError, refusing, replacing
from wsss.study.cells import cell, cell_text
from wsss.study.integrity import INDEX
from wsss.study.provenance import file_digests
from wsss.study.regular import regular_text

Row = TypeVar("Row")


def write_rows(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write columns and rows, whole or not at all. A spreadsheet runs none of the texts, see `cell`."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(map(cell, columns))
        table.writerows(map(cell, row) for row in rows)


def list_files(folder: Path, files: Iterable[Path]) -> Path:
    """List files below a folder with their digests, in its `index.tsv`, which is returned.

    `wsss.study.integrity` compares the files with it, and a job that `wrote` the list protects it.
    """
    digests = file_digests(files).items()
    rows = ((Path(file).relative_to(folder).as_posix(), digest) for file, digest in digests)
    write_rows(folder / INDEX, ("file", "digest"), rows)
    return folder / INDEX


def read_rows(path: str | Path, columns: Sequence[str], row: Callable[..., Row], key: int) -> Iterator[Row]:
    """Read rows, of which no two have the same first `key` cells.

    Args:
        path: a file of `write_rows`.
        columns: that it must have.
        row: makes a row of its cells; raises a ValueError for what is none.
        key: how many cells name a row.

    Raises:
        ArtifactError: naming file and line.
    """
    with refusing(Path(path)):
        content = regular_text(path)
    if not content.endswith("\n"):
        raise ArtifactError(f"{path}: empty or cut short")
    table = csv.reader(io.StringIO(content, newline=""), delimiter="\t")
    if tuple(found := list(map(cell_text, next(table)))) != tuple(columns):
        raise ArtifactError(f"{path}:1: columns {found}, expected {list(columns)}")
    seen: set[tuple[str, ...]] = set()
    for written in table:
        cells = list(map(cell_text, written))
        where = f"{path}:{table.line_num}"
        if len(cells) != len(columns):
            raise ArtifactError(f"{where}: {len(cells)} columns, expected {len(columns)}")
        if tuple(cells[:key]) in seen:
            raise ArtifactError(f"{where}: {' '.join(cells[:key])} is there twice")
        seen.add(tuple(cells[:key]))
        try:
            yield row(*cells)
        except ValueError as error:
            raise ArtifactError(f"{where}: {error}") from None
