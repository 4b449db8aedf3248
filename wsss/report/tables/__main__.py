"""`python -m wsss.report.tables [overlay.yaml …]` prints the tables of a study, which `tabulate_results` writes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from wsss.study.config import read_study


def main(overlays: Sequence[str]) -> None:
    """Print the Markdown of the study that YAML files, laid over `config.yaml`, describe."""
    study = read_study("config.yaml", *overlays)
    print(Path(study.results, study.name, "tables", "results.md").read_text(encoding="utf-8"), end="")


if __name__ == "__main__":
    main(sys.argv[1:])
