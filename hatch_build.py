"""Puts the workflow into the wheel, laid out as in the repository, so that `wsss run` needs no clone.

An editable install gets none of it: the package is in the clone then, with the workflow around it.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PARTS = (
    "Snakefile",
    "config.yaml",
    "rules",
    "workflow_scripts",
    "profiles",
    "studies",
    "schemas",
    "envs",
    "report",
)


class WorkflowHook(BuildHookInterface):
    """Adds the parts of the workflow below `wsss/workflow/`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add them to a wheel, which is `standard` or `editable`."""
        if version == "standard":
            build_data["force_include"] |= {part: f"wsss/workflow/{part}" for part in PARTS}
