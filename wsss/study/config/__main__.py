"""`python -m wsss.study.config` writes `config.yaml` and its schema anew."""

from __future__ import annotations

from pathlib import Path

from wsss.study.config.study import Study
from wsss.study.config.text import commented_yaml, schema_yaml


def main(root: Path) -> None:
    """Write `config.yaml` and `schemas/config.schema.yaml` under the repository's root."""
    (root / "config.yaml").write_text(commented_yaml(Study()), encoding="utf-8")
    (root / "schemas" / "config.schema.yaml").write_text(schema_yaml(Study), encoding="utf-8")


if __name__ == "__main__":
    main(Path.cwd())
