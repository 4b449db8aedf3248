"""YAML as a person writes it: sections in block style, lists on one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Writes lists on one line."""


def _on_one_line(dumper: yaml.SafeDumper, values: Sequence[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=True)


_Dumper.add_representer(list, _on_one_line)


def block_style(values: Mapping[str, Any]) -> str:
    """Values as YAML in their order."""
    return yaml.dump(
        dict(values), Dumper=_Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True, width=110
    )
