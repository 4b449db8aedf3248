"""The documentation names files, commands, rules and keys that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.documented import LANGUAGES, Block, Command, all_pages, blocks, commands, faults, spans
from wsss.__main__ import app
from wsss.stages.health import ALARMS
from wsss.study.config import load_study, merged
from wsss.study.params import PARAMS

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "CHANGELOG.md", *all_pages()]
TOP = ("wsss", "rules", "workflow_scripts", "docs", "studies", "profiles", "tests", "envs", "schemas")

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def texts(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pages
def test_a_page_starts_with_its_title(page: Path) -> None:
    text = re.sub(r"\A---\n.*?\n---\n+", "", texts(page), flags=re.DOTALL)
    assert text.startswith("# ")


def test_the_readme_names_every_page() -> None:
    linked = set(re.findall(r"\(docs/(\w+\.md)\)", texts(ROOT / "README.md")))
    assert linked == {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}


@pages
def test_blocks_of_code_say_what_they_are(page: Path) -> None:
    assert {block.language for block in blocks(page)} <= LANGUAGES


@pages
def test_only_blocks_of_commands_have_commands(page: Path) -> None:
    """So that none goes without being run."""
    others = [block for block in blocks(page) if block.language not in ("sh", "console")]
    hidden = [
        block for block in others if re.search(r"^(wsss|snakemake|make|python) ", block.text, flags=re.M)
    ]
    assert not hidden


@pytest.mark.parametrize("command", commands(), ids=str)
def test_commands_of_blocks_have_options_and_files_that_exist(command: Command) -> None:
    assert faults(command) == []


@pages
def test_commands_in_sentences_have_options_and_files_that_exist(page: Path) -> None:
    found = spans(page) if page.name != "CHANGELOG.md" else []
    assert [fault for command in found for fault in faults(command)] == []


def test_what_is_wrong_with_a_command_is_found() -> None:
    for typed, fault in {
        "wsss run --onyl masks": "no option --onyl",
        "wsss rum": "no command rum",
        "snakemake --configfil studies/voc12-vgg16.yaml": "no option --configfil",
        "snakemake --configfile studies/none.yaml": "no file studies/none.yaml",
        "make dmeo": "make has no target dmeo",
        "python -m benchmarks.walk": "no module benchmarks.walk",
        "python -m benchmarks.walks --none 1": "benchmarks.walks: no option --none",
        "pip install '.[none]'": "no extra none",
    }.items():
        block = Block(ROOT / "README.md", 1, "sh", typed, None)
        assert faults(Command(block.page, 1, tuple(shlex.split(typed)), None)) == [fault]


@pages
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", texts(page))
    local = [target for target in targets if "://" not in target and not target.startswith("_generated/")]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pages
def test_named_files_exist(page: Path) -> None:
    """In code spans, paths from the root of the repository without placeholders."""
    spans = [span for span in re.findall(r"`([^`\n]+)`", texts(page)) if re.fullmatch(r"[\w./-]+", span)]
    paths = [span for span in spans if span.startswith(tuple(f"{folder}/" for folder in TOP))]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pages
def test_examples_of_configurations_are_valid(page: Path) -> None:
    base = {"dataset": {"kind": "folder", "root": "photos"}, "classifier": {"backbone": "resnet38"}}
    for block in re.findall(r"```yaml\n(.*?)```", texts(page), flags=re.DOTALL):
        networks = {name: {"backbone": "resnet38"} for name in ("affinitynet", "irnet", "segmenter")}
        values = yaml.safe_load(block)
        study = load_study(values if "recipe" in values else merged({**base, **networks}, values))
        assert study.name


@pages
def test_named_commands_exist(page: Path) -> None:
    commands = re.findall(r"(?:`|/bin/)wsss ((?:[a-z-]+ ?)+)", texts(page))
    for command in commands:
        words = command.split()
        known = [words[: length + 1] for length in range(len(words))]
        assert any(CliRunner().invoke(app, [*start, "--help"]).exit_code == 0 for start in known), command


def test_the_table_of_stages_names_every_rule() -> None:
    table = texts(ROOT / "docs" / "structure.md").partition("## One word per stage")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", table))
    assert set(PARAMS) - named == set()


def test_the_page_of_alarms_says_what_the_program_says() -> None:
    page = " ".join(texts(ROOT / "docs" / "alarms.md").split())
    for alarm in ALARMS:
        fires = f"{alarm.fires[0].upper()}{alarm.fires[1:]}."
        helps = " ".join(f"- {text}" for text in alarm.help)
        assert f"### `{alarm.name}`: {alarm.title} {fires} {alarm.meaning} {helps}" in page
    assert page.count("###") == len(ALARMS)


def test_the_glossary_lists_terms_once() -> None:
    rows = re.findall(r"^\| ([^*|]+?) \|", texts(ROOT / "docs" / "glossary.md"), flags=re.MULTILINE)
    terms = [term.strip() for row in rows for term in row.split(",")]
    assert len(terms) > 40
    assert len(terms) == len(set(terms))
