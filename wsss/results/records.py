"""Training histories (TSV), metrics and manifests (JSON)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from wsss.results.files import ArtifactError, refusing, write_text
from wsss.results.rows import write_rows
from wsss.runtime.disk import naming_full_disk

if TYPE_CHECKING:
    from wsss.study.provenance import ArtifactManifest


class HistoryWriter:
    """Write a tab-separated history anew, each row on disk as soon as it is appended.

    The first row fixes the columns, where none are given. A training that resumes appends the rows of its
    saved state first.
    """

    def __init__(self, path: str | Path, columns: Sequence[str] = ()) -> None:
        self.path = Path(path)
        self._columns: list[str] = []
        with naming_full_disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8", buffering=1)
        if columns:
            self._begin(columns)

    def append(self, row: Mapping[str, float]) -> None:
        """Write one row. Raises `ArtifactError` when its columns differ from those of the first row."""
        if not self._columns:
            self._begin(row)
        if set(row) != set(self._columns):
            raise ArtifactError(f"{self.path}: columns {sorted(row)}, expected {sorted(self._columns)}")
        self._write(f"{row[column]:.9g}" for column in self._columns)

    def _begin(self, columns: Iterable[str]) -> None:
        self._columns = list(columns)
        self._write(self._columns)

    def _write(self, cells: Iterable[str]) -> None:
        with naming_full_disk(self.path):
            self._file.write("\t".join(cells) + "\n")

    def close(self) -> None:
        """Close the file."""
        with naming_full_disk(self.path):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_history(path: str | Path) -> dict[str, NDArray[np.float64]]:
    """Read a history as column name → (rows,) float64. Raises `ArtifactError` naming the file and line."""
    path = Path(path)
    with refusing(path):
        text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    if not lines or not text.endswith("\n"):
        raise ArtifactError(f"{path}: empty or cut short in line {max(len(lines), 1)}")
    columns = lines[0].split("\t")
    rows = [_numbers(f"{path}:{number}", line, columns) for number, line in enumerate(lines[1:], start=2)]
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(columns))
    return {column: table[:, index] for index, column in enumerate(columns)}


def _numbers(where: str, line: str, columns: Sequence[str]) -> list[float]:
    cells = line.split("\t")
    if len(cells) != len(columns):
        raise ArtifactError(f"{where}: {len(cells)} columns, expected {len(columns)}")
    try:
        return [float(cell) for cell in cells]
    except ValueError as error:
        raise ArtifactError(f"{where}: {error}") from None


def write_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write JSON with sorted keys, indented, with a newline at the end.

    Arrays become lists and nan (the IoU of a class that never appears) becomes null. Raises `ArtifactError`
    for an infinite number and anything else that JSON does not know.
    """
    try:
        text = json.dumps(_json_value(content), sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"{path}: cannot be written as JSON: {error}") from None
    write_text(path, text + "\n")


def write_table(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write tab-separated values, the columns being those of the first row; None and nan become empty.

    A spreadsheet runs none of the texts, see `cell`.
    """
    columns = list(rows[0])
    write_rows(path, columns, ([_json_value(row.get(name)) for name in columns] for row in rows))


def read_json(path: str | Path) -> Any:
    """Read JSON. Raises `ArtifactError` naming a file that is none."""
    path = Path(path)
    with refusing(path):
        return json.loads(path.read_text(encoding="utf-8"))


def write_manifest(artifact: str | Path, manifest: ArtifactManifest) -> None:
    """Write the manifest of `artifact` beside it, as `<artifact>.json`."""
    write_json(f"{artifact}.json", manifest.to_json())


def _json_value(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {key: _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
