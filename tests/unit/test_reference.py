"""The references of the site hold everything, and say what the code says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

import wsss
from docs.reference import commands_page, configuration_page, python_page, write_references
from wsss.__main__ import app
from wsss.public import HOMES
from wsss.study.config import Study, load_study

ROOT = Path(__file__).resolve().parents[2]


def key_paths(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, object]]:
    """The keys of a configuration that hold a single value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from key_paths(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def test_the_configuration_page_has_every_key_with_its_default() -> None:
    page = configuration_page(Study)
    rows = re.findall(r"^\| `([\w.]+)` \| `([^`]+)` \|", page, flags=re.M)
    stated = {(path, str(yaml.safe_load(default))) for path, default in rows}
    elsewhere = tuple(f"{path}." for path in re.findall(r"^#+ `([\w.]+)`\n\nAs for", page, flags=re.M))
    missing = {
        (path, str(value))
        for path, value in key_paths(load_study({}).model_dump(mode="json"))
        if not path.startswith(elsewhere)
    } - stated
    assert not missing


def test_the_configuration_page_has_the_sentence_of_every_section() -> None:
    page = configuration_page(Study)
    sections = [field.annotation for field in Study.model_fields.values()]
    for section in sections:
        if isinstance(section, type) and issubclass(section, BaseModel):
            sentence = (section.__doc__ or "").split("\n\n")[0].partition("docs/")[0]
            assert " ".join(sentence.split()) in " ".join(page.split())


def test_no_cell_of_a_table_is_cut_by_a_bar_in_its_text() -> None:
    pages = (configuration_page(Study), commands_page(typer.main.get_group(app)))
    for page in pages:
        width = 0
        for line in page.splitlines():
            bars = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
            assert bars == width or not width or not bars, line
            width = bars


def test_the_commands_page_has_every_command_and_its_options() -> None:
    page = commands_page(typer.main.get_group(app))
    for name in ("init", "run", "branch", "config", "config write", "export model", "voc-submission check"):
        assert f"## `wsss {name}`\n" in page
    assert "`--recipe" in page


def test_the_python_page_has_every_public_name_once() -> None:
    page = python_page(HOMES)
    found = re.findall(r"^\.\. auto(?:class|function):: wsss\.(\w+)$", page, flags=re.M)
    assert sorted(found) == sorted(HOMES)


def test_a_public_name_that_no_heading_holds_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^shout: public names that no heading of the Python reference holds$"
    ):
        python_page({**HOMES, "shout": "wsss.loud"})


def test_pages_that_stay_the_same_are_not_written_again(tmp_path: Path) -> None:
    write_references(tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    write_references(tmp_path)
    assert len(before) == 6
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert str(citation["version"]) == project["version"] == wsss.__version__
    assert citation["references"][0]["title"] in " ".join((ROOT / "README.md").read_text("utf-8").split())


def test_issue_forms_and_the_catalogue_entry_are_valid_yaml_with_what_they_need() -> None:
    forms = [
        path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"
    ]
    assert len(forms) == 3
    for form in forms:
        content = yaml.safe_load(form.read_text("utf-8"))
        assert {"name", "description", "body"} <= set(content)
        assert all(field["type"] in ("textarea", "input", "markdown") for field in content["body"])
    entry = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text("utf-8"))
    assert entry["usage"]["report"] is True
