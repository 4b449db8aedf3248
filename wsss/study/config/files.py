"""The YAML files of a study, and the line of each key in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from wsss.study.regular import regular_text

HINTS = {
    "'\\t'": "; indent with spaces",
    "expected <block end>": "; keys of one section begin in the same column",
    "mapping values are not allowed": "; a text with a colon needs quotation marks, and keys of one section "
    "begin in the same column",
}
"""What helps, by a part of what the parser says."""


MOST_BYTES = 10_000_000
MOST_KEYS = 20_000
"""Of a file; ours have 400. Aliases of aliases make billions of a few lines."""


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
        loader = yaml.SafeLoader(_text(path))
        node = loader.get_single_node()  # type: ignore[no-untyped-call]
        if node is None:
            raise ConfigError(f"{path}: nothing in it, expected a mapping of keys and values")
        if not isinstance(node, yaml.MappingNode):
            line = node.start_mark.line + 1
            raise ConfigError(f"{path}:{line}: expected a mapping of keys and values, such as `name: mine`")
        lines = _lines(path, node)
        return YamlFile(loader.construct_document(node), lines)  # type: ignore[no-untyped-call]
    except yaml.YAMLError as error:
        raise ConfigError(_not_valid(path, error)) from error
    except ConfigError:
        raise
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply, or an alias that stands for itself") from error
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
    ) as error:  # values of special kinds
        raise ConfigError(f"{path}: not valid YAML: {error}") from error


def _text(path: Path) -> str:
    try:
        return regular_text(path, MOST_BYTES)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _not_valid(path: Path, error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"{path}: not valid YAML: {error}"
    mark, start = error.problem_mark, error.context_mark
    begun = f" that begins in line {start.line + 1}" if start and mark and start.line != mark.line else ""
    context = f"{error.context}{begun}, " if error.context else ""
    hint = next((hint for found, hint in HINTS.items() if found in str(error.problem)), "")
    place = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
    return f"{place}: not valid YAML: {context}{error.problem}{hint}"


def _lines(path: Path, root: yaml.MappingNode) -> dict[str, int]:
    lines: dict[str, int] = {}
    for key, line in _places(root):
        if len(lines) > MOST_KEYS:
            raise ConfigError(
                f"{path}: more than {MOST_KEYS:,} keys and values; aliases count where they stand"
            )
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
