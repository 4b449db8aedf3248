"""Pages that are written when the site is made: keys, commands, public names, and pages of the repository."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
import yaml
from typer.core import TyperCommand, TyperGroup

from wsss.__main__ import app
from wsss.public import HOMES
from wsss.results import write_text
from wsss.study.config import Study

ROOT = Path(__file__).resolve().parents[1]

AT_THE_ROOT = ("CHANGELOG", "CONTRIBUTING", "SECURITY")
"""Pages that a forge looks for beside the README."""

GROUPS = {
    "Trained networks": ("wsss.stages.bundle",),
    "CAMs and their background": ("wsss.method.cam",),
    "Confident regions": ("wsss.method.confident",),
    "Affinities": ("wsss.method.affinity",),
    "The random walk": ("wsss.method.random_walk", "wsss.method.grid"),
    "The dense CRF": ("wsss.method.dense_crf",),
    "Scores": ("wsss.method.metrics",),
    "Names and values of classes": ("wsss.method.labels",),
    "Files": ("wsss.data",),
}
"""Headings of the Python reference, and the packages whose public names stand below each."""


def write_references(folder: Path) -> None:
    """Write the references, and the pages of the repository's root, into a folder; unchanged pages stay."""
    for name, text in {
        "configuration.md": configuration_page(Study),
        "commands.md": commands_page(typer.main.get_group(app)),
        "python.md": python_page(HOMES),
        **{f"{name.lower()}.md": root_page((ROOT / f"{name}.md").read_text("utf-8")) for name in AT_THE_ROOT},
    }.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)


def root_page(text: str) -> str:
    """Turn the links of a page at the root of the repository into links of the site."""
    text = re.sub(r"\]\(docs/", "](../", text)
    text = re.sub(rf"\]\(({'|'.join(AT_THE_ROOT)})\.md", lambda link: f"]({link[1].lower()}.md", text)
    return re.sub(r"\[([^\]]+)\]\(\.github/[^)]*\)", r"\1", text)


Schema = Mapping[str, Any]


def configuration_page(study: type[Study]) -> str:
    """Write all keys of a configuration by section, from its JSON schema and its defaults."""
    return "\n".join(_Configuration(study.model_json_schema(), study().model_dump(mode="json")).lines())


class _Configuration:
    """Writes each section once; the same section elsewhere is a link to the first place."""

    def __init__(self, schema: Schema, defaults: Mapping[str, Any]) -> None:
        self.schema = schema
        self.defaults = defaults
        self.seen: dict[str, str] = {}

    def lines(self) -> Iterator[str]:
        yield "# Configuration"
        yield ""
        yield "Every key, its default and what it accepts. A study states only what differs: what it leaves"
        yield "out has the default, or the value of its [recipe](../settings.md). `config.yaml` has the same"
        yield "in comments."
        yield ""
        yield "## The study itself"
        yield ""
        yield from self.table("", self.schema, self.defaults)
        yield from self.sections("", self.schema, 2)

    def sections(self, path: str, model: Schema, level: int) -> Iterator[str]:
        for key, field in model["properties"].items():
            if names := self.models(field):
                yield from self.section(f"{path}{key}", names, level)

    def section(self, path: str, names: Sequence[str], level: int) -> Iterator[str]:
        yield f"{'#' * level} `{path}`"
        yield ""
        if place := self.seen.get("|".join(names)):
            yield f"As for [`{place}`](#{_anchor(place)}), with defaults of its own in `config.yaml`."
            yield ""
            return
        self.seen["|".join(names)] = path
        for name in names:
            model = self.schema["$defs"][name]
            kind = model["properties"].get("kind", {}).get("const")
            if len(names) > 1:
                yield f"**`kind: {kind}`**"
                yield ""
            yield _linked(model.get("description", ""))
            yield ""
            yield from self.table(f"{path}.", model, self.values(path, kind))
            yield from self.sections(f"{path}.", model, min(level + 1, 4))

    def values(self, path: str, kind: str | None) -> Mapping[str, Any]:
        """The defaults of a section, if a study has it by default and of this kind."""
        values: Any = self.defaults
        for key in path.split("."):
            values = (values or {}).get(key)
        return values if values and values.get("kind") == kind else {}

    def table(self, path: str, model: Schema, values: Mapping[str, Any]) -> Iterator[str]:
        """Write the single values of a section, with its own defaults where it has some."""
        rows = {key: field for key, field in model["properties"].items() if not self.models(field)}
        if not rows:
            return
        required = model.get("required", ())
        yield "| key | default | allowed | |"
        yield "|---|---|---|---|"
        for key, field in rows.items():
            stated = values.get(key, field.get("default"))
            default = "required" if key in required and key not in values else f"`{_value(stated)}`"
            allowed, meaning = _cell(self.allowed(field)), _cell(_linked(field.get("description", "")))
            yield f"| `{path}{key}` | {default} | {allowed} | {meaning} |"
        yield ""

    def models(self, field: Schema) -> list[str]:
        """The names of the sections that a key can hold; none for a single value."""
        return [
            choice["$ref"].rpartition("/")[2]
            for choice in _choices(field)
            if "$ref" in choice and "properties" in self.schema["$defs"][choice["$ref"].rpartition("/")[2]]
        ]

    def allowed(self, field: Schema) -> str:
        """What a key accepts, in a few words."""
        return ", or ".join(dict.fromkeys(_allowed(choice, self.schema) for choice in _choices(field)))


def _choices(field: Schema) -> Sequence[Schema]:
    for word in ("anyOf", "oneOf"):
        if word in field:
            return [inner for choice in field[word] for inner in _choices(choice)]
    return [field]


def _allowed(field: Schema, schema: Schema) -> str:
    if "$ref" in field:
        return _allowed(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    if "const" in field:
        return f"`{_value(field['const'])}`"
    if "enum" in field:
        return ", ".join(f"`{_value(value)}`" for value in field["enum"])
    kind = field.get("type")
    if kind == "array":
        return _array(field, schema)
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "`true`, `false`",
        "null": "`null`",
        "object": "mapping",
    }
    return " ".join([words.get(str(kind), "see below"), *_bounds(field)])


def _array(field: Schema, schema: Schema) -> str:
    items = field.get("prefixItems") or [field.get("items", {})]
    inner = " and ".join(dict.fromkeys(_allowed(item, schema) for item in items))
    count = field.get("minItems") if field.get("minItems") == field.get("maxItems") else None
    return f"list of {f'{count}: ' if count else ''}{inner}"


def _bounds(field: Schema) -> Iterator[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {field[word]:g}" for word, sign in signs.items() if word in field]
    if bounds:
        yield ", ".join(bounds)
    if "multipleOf" in field:
        yield f"in steps of {field['multipleOf']:g}"


def _value(value: object) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()


def _cell(text: str) -> str:
    """Escape what would end a cell, and outside of code what would begin a tag."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()).replace("|", r"\|"))
    return "".join(part if part.startswith("`") else part.replace("<", r"\<") for part in parts)


def _linked(text: str) -> str:
    """Make links of the names of pages; Sphinx puts in their titles."""
    return re.sub(r"docs/(\w+)\.md", r"[](../\1.md)", text)


def _anchor(path: str) -> str:
    return path.replace(".", "").lower()


Leaf = TyperCommand | TyperGroup


def commands_page(command: Leaf) -> str:
    """Write usage, help and options of each command, as `--help` prints them."""
    lines = [
        "# Commands and their options",
        "",
        "What `wsss COMMAND --help` prints. [The page of commands](../commands.md) says when each is of use.",
        "",
    ]
    for name, found in _leaves("wsss", command):
        context = typer.Context(found, info_name=name)
        usage = " ".join([name, *found.collect_usage_pieces(context)])
        records = (option.get_help_record(context) for option in found.params)
        rows = [(record[0], _plain(record[1])) for record in records if record]
        lines += [
            f"## `{name}`",
            "",
            "```text",
            usage,
            "```",
            "",
            _plain(found.help),
            "",
            "| | |",
            "|---|---|",
        ]
        lines += [f"| {_cell(f'`{what}`')} | {_cell(text)} |" for what, text in rows]
        lines += [""]
    return "\n".join(lines)


def _leaves(name: str, command: Leaf) -> Iterator[tuple[str, Leaf]]:
    if not isinstance(command, TyperGroup) or command.invoke_without_command:
        yield name, command
    if isinstance(command, TyperGroup):
        for inner, found in command.commands.items():
            if isinstance(found, TyperCommand | TyperGroup):
                yield from _leaves(f"{name} {inner}", found)


def _plain(text: str | None) -> str:
    return inspect.cleandoc(text or "").replace("\b\n", "")


def python_page(homes: Mapping[str, str]) -> str:
    """Write a page that shows the docstrings of all public names.

    Args:
        homes: the module of each name.

    Raises:
        ValueError: if a name belongs to none of `GROUPS`.
    """
    lines = [
        "# Python",
        "",
        "All names of `import wsss`. [From Python](../python.md) shows them at work.",
        "",
    ]
    left = dict(homes)
    for title, packages in GROUPS.items():
        names = [name for name, home in homes.items() if home.startswith(packages)]
        lines += [f"## {title}", "", "```{eval-rst}"]
        for name in names:
            directive = "autoclass" if name[0].isupper() else "autofunction"
            lines += [f".. {directive}:: wsss.{name}"]
            lines += ["   :members:"] if directive == "autoclass" else []
            left.pop(name)
        lines += ["```", ""]
    if left:
        raise ValueError(f"{', '.join(left)}: public names that no heading of the Python reference holds")
    return "\n".join(lines)
