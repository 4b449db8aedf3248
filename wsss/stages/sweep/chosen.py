"""The file of the chosen point, `sweep/chosen.yaml`: an overlay that the random walk reads for `auto`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from wsss.results import ArtifactError
from wsss.study.config import RandomWalk, merged

CHOSEN = """\
# What `auto` stands for in random_walk; chosen.json says why. As a file for --configfile it fixes the values.
"""


def chosen_text(section: dict[str, Any]) -> str:
    """Write keys of `random_walk`; without figures, so that the same choice gives the same file."""
    return CHOSEN + yaml.safe_dump({"random_walk": section}, sort_keys=False, default_flow_style=False)


def chosen_walk(walk: RandomWalk, path: str | Path | None) -> RandomWalk:
    """Take the values of `auto` from a file of `chosen_text`; a walk without `auto` needs none.

    Raises:
        ArtifactError: the file is none, or leaves a value open.
    """
    if not walk.chosen_keys:
        return walk
    try:
        section = dict(yaml.safe_load(Path(str(path)).read_text(encoding="utf-8"))["random_walk"])
        found = RandomWalk.model_validate(merged(walk.model_dump(), section))
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path}: no values of random_walk: {error}") from error
    if found.chosen_keys:
        raise ArtifactError(f"{path}: leaves {', '.join(found.chosen_keys)} of random_walk open")
    return found
