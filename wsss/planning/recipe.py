"""What a recipe sets, with the numbers that `auto` stands for on a study's photographs."""

from __future__ import annotations

import textwrap
from typing import Any

from wsss.planning.work import Images, settled_study
from wsss.study.config import Study, recipe_settings, recipe_title
from wsss.study.config.fields import AUTO
from wsss.study.provenance import leaves

WIDTH = 100

CHANGED = "*"
"""Marks a value that is the study's own."""


def recipe_lines(study: Study, images: Images) -> list[str]:
    """What the recipe of a study is for, with a paragraph for each section; nothing without one.

    A key to which the study itself gives another value is marked with a star.
    """
    if study.recipe is None:
        return []
    written, values = (of.model_dump(mode="json") for of in (study, settled_study(study, images)))
    lines = [f"recipe {study.recipe}: {recipe_title(study.recipe)}"]
    for section, settings in recipe_settings(study.recipe).items():
        keys = leaves(settings).items() if isinstance(settings, dict) else [("", settings)]
        said = [
            _said(key, given, _effective(written[section], key), _effective(values[section], key))
            for key, given in keys
        ]
        margin = f"  {section}: "
        lines += textwrap.wrap(", ".join(said), WIDTH, initial_indent=margin, subsequent_indent=" " * 4)
    changed = any(line.rstrip(",").endswith(CHANGED) or f"{CHANGED}, " in line for line in lines)
    return [*lines, f"  {CHANGED} the study's own value"] if changed else lines


def downloads(study: Study) -> str | None:
    """Which weights the first run downloads, and what helps without a connection; None if it needs none."""
    wanting = [name for name in study.trained_networks if getattr(study, name).weights == "imagenet"]
    if not wanting:
        return None
    backbones = dict.fromkeys(getattr(study, name).backbone for name in wanting)
    keys = " and ".join(f"{name}.weights" for name in wanting)
    return (
        f"ImageNet weights of {', '.join(backbones)} are downloaded once. Without a connection, name a file "
        f"that has them in the study: {keys}."
    )


def _effective(values: Any, key: str) -> Any:
    """The value of a key in a section; None if the study chose a kind that does not have it."""
    for step in key.split(".") if key else ():
        values = values.get(step) if isinstance(values, dict) else None
    return values


def _said(key: str, given: Any, written: Any, effective: Any) -> str:
    """A key with what the study says, and what that means here; given is what the recipe says."""
    follows = written == AUTO and effective != AUTO
    value = f"{written} ({effective})" if follows else f"{effective}"
    return f"{key} {value}{CHANGED if written != given else ''}".strip()
