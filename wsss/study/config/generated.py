"""The files that are generated from the models: `config.yaml` with the defaults, and its JSON schema."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from wsss.study.config.sections import Study
from wsss.study.config.text import commented_yaml, schema_yaml

CONFIG = Path("config.yaml")
CONFIG_SCHEMA = Path("schemas", "config.schema.yaml")


def generated_files() -> dict[Path, str]:
    """The text of each generated file, by its path below the repository's root."""
    return {CONFIG: commented_yaml(Study()), CONFIG_SCHEMA: schema_yaml(Study)}


def outdated(root: Path) -> list[Path]:
    """The generated files, relative to the repository's `root`, that are missing or have another text."""
    return [path for path, text in generated_files().items() if _text(root / path) != text]


def edited_keys(root: Path) -> list[str]:
    """Paths of the keys of `config.yaml` that are unknown or whose value is not the default.

    Keys that it lacks have their default. If the file is not a YAML mapping, the only entry is its name.
    """
    text = _text(root / CONFIG)
    if text is None:
        return []
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError:
        return [str(CONFIG)]
    if not isinstance(values, dict):
        return [str(CONFIG)] if values is not None else []
    return _differing(values, Study().model_dump(mode="json"))


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _differing(values: Mapping[Any, Any], defaults: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        path, default = f"{prefix}{key}", defaults.get(key)
        if isinstance(value, dict) and isinstance(default, dict):
            found += _differing(value, default, f"{path}.")
        elif key not in defaults or value != default:
            found.append(path)
    return found
