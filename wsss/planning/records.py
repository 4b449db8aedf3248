"""Snakemake's memory of the files that it made, `.snakemake/metadata`: without it a file counts as unknown.

A record is JSON; the name of its file is the path of the output in URL-safe base64, spread over folders whose
names start with `@` where it is too long for one name.
"""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

METADATA = Path(".snakemake", "metadata")
_LONGEST_NAME = 254


def records(outputs_below: Path) -> dict[str, dict[str, Any]]:
    """The records of all outputs below a folder, by path, as Snakemake wrote both."""
    found = dict(_recorded())
    return {output: found[output] for output in sorted(found) if Path(output).is_relative_to(outputs_below)}


def write_record(output: str, record: Mapping[str, Any]) -> None:
    """Remember an output as Snakemake does."""
    encoded = urlsafe_b64encode(output.encode()).decode()
    parts = [encoded[start : start + _LONGEST_NAME] for start in range(0, len(encoded), _LONGEST_NAME)]
    path = METADATA.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{os.getpid()}.part")
    temporary.write_text(json.dumps(record), encoding="utf-8")
    os.replace(temporary, path)


def _recorded() -> Iterator[tuple[str, dict[str, Any]]]:
    for folder, _, names in os.walk(METADATA):
        for name in names:
            parts = [*Path(folder).relative_to(METADATA).parts, name]
            try:
                output = urlsafe_b64decode("".join(part.removeprefix("@") for part in parts)).decode()
                record = json.loads(Path(folder, name).read_bytes())
            except ValueError:
                continue  # cut short, or not a record
            if isinstance(record, dict) and not record.get("incomplete"):
                yield output, record
