"""The YAML files of a study, and the line of each key in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml


class ConfigError(ValueError):
    """A configuration that describes no study; the message lists every problem by key path."""


class YamlFile(NamedTuple):
    """The content of a file, and the line of each key path, such as `cams.scales[1]`."""

    content: dict[str, Any]
    lines: dict[str, int]


def read_yaml(path: Path) -> YamlFile:
    """Read a mapping of keys and values.

    Raises:
        ConfigError: the file is no such YAML, or names a key twice; the message says the line.
        OSError: it cannot be read.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        node = loader.get_single_node()  # type: ignore[no-untyped-call]
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError(f"{path}: expected a mapping of keys and values")
        lines = _lines(path, node)
        return YamlFile(loader.construct_document(node), lines)  # type: ignore[no-untyped-call]
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(_not_valid(path, error)) from error


def _not_valid(path: Path, error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"{path}: not valid YAML: {error}"
    mark, start = error.problem_mark, error.context_mark
    begun = f" that begins in line {start.line + 1}" if start and mark and start.line != mark.line else ""
    context = f"{error.context}{begun}, " if error.context else ""
    hint = "; indent with spaces" if "'\\t'" in str(error.problem) else ""
    place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
    return f"{place}: not valid YAML: {context}{error.problem}{hint}"


def _lines(path: Path, root: yaml.MappingNode) -> dict[str, int]:
    lines: dict[str, int] = {}
    for key, line in _places(root):
        if key in lines:
            raise ConfigError(f"{path}:{line}: {key} is there twice, first in line {lines[key]}")
        lines[key] = line
    return lines


def _places(node: yaml.Node, path: str = "") -> Iterator[tuple[str, int]]:
    """Key path and line of everything below a node."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = f"{path}.{key.value}".lstrip(".")
            yield here, key.start_mark.line + 1
            yield from _places(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = f"{path}[{index}]"
            yield here, value.start_mark.line + 1
            yield from _places(value, here)
