"""Recipes: settings for a kind of machine or a publication, to be laid below a study's own keys.

A recipe is a file of `studies/recipes/`; its name is that of the file. To add one is to add its file.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml

from wsss.study.code_digest import WORKFLOW
from wsss.study.words import did_you_mean

RECIPES = WORKFLOW / "studies" / "recipes"


def recipe_names() -> list[str]:
    """Names of all recipes, in alphabetical order."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def recipe_settings(name: str) -> dict[str, Any]:
    """What a recipe sets, by section.

    Raises:
        ValueError: there is no such recipe.
    """
    if name not in (known := recipe_names()):
        hint = did_you_mean(name, known) or f", allowed {', '.join(known)}"
        raise ValueError(f"there is no such recipe{hint}")
    return dict(yaml.safe_load(_text(name)))


def recipe_title(name: str) -> str:
    """The first sentence of a recipe's comment: what it is for. Raises as `recipe_settings` does."""
    recipe_settings(name)
    return _text(name).splitlines()[0].removeprefix("# ")


@cache
def _text(name: str) -> str:
    return (RECIPES / f"{name}.yaml").read_text(encoding="utf-8")
