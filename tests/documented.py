"""The commands that the documentation shows, and what can be said of them without running them.

A block `sh` has a command in each line, a block `console` in each line after `$ `. A comment above the block,
`<!-- not run: why -->`, says that no test can run it; its options, programs and files exist nevertheless.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer
from snakemake.cli import get_argument_parser

from wsss.__main__ import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *(ROOT / "docs" / f"{name}.md" for name in ("quickstart", "my_photographs", "commands")),
)
"""In the order in which a reader meets them; all others follow."""

LANGUAGES = {
    "sh",
    "console",
    "text",
    "yaml",
    "python",
    "{code-cell} python",
    "{toctree}",
    "{include} pictures/origin.md",
}

BLOCK = re.compile(
    r"(?:^ *<!-- not run: (?P<why>[^>]+?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)```$",
    re.M | re.S,
)


class Block(NamedTuple):
    """A block of a page; `why` it is not run, if it is not."""

    page: Path
    line: int
    language: str
    text: str
    why: str | None


class Command(NamedTuple):
    """A command of a page: its words without comments, and why it is not run, if it is not."""

    page: Path
    line: int
    words: tuple[str, ...]
    why: str | None

    def __str__(self) -> str:
        return f"{self.page.name}: {shlex.join(self.words)}"

    @property
    def variables(self) -> dict[str, str]:
        """The variables in front of the program."""
        return dict(word.split("=", 1) for word in self.words if re.fullmatch(r"[A-Z_]+=.*", word))

    @property
    def program(self) -> tuple[str, ...]:
        """The words without variables, `nice` and the folder of the program."""
        words = list(self.words)
        while words and (re.fullmatch(r"[A-Z_]+=.*", words[0]) or words[0] == "nice"):
            words.pop(0)
        return (Path(words[0]).name, *words[1:])


def all_pages() -> list[Path]:
    """Every page, those that a reader meets first in front."""
    return [*PAGES, *(page for page in sorted((ROOT / "docs").glob("*.md")) if page not in PAGES)]


def blocks(page: Path) -> list[Block]:
    """The blocks of code of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found["language"], found["text"], found["why"])
        for found in BLOCK.finditer(text)
    ]


def commands() -> list[Command]:
    """All commands in blocks, in the order of the pages."""
    return [command for page in all_pages() for block in blocks(page) for command in _commands(block)]


def _commands(block: Block) -> Iterator[Command]:
    for line in block.text.replace("\\\n", " ").splitlines():
        typed = line.strip()
        if block.language == "console":
            typed = typed.removeprefix("$ ") if typed.startswith("$ ") else ""
        elif block.language != "sh":
            typed = ""
        for part in typed.split(" && "):
            if words := shlex.split(part.partition(" | ")[0], comments=True):
                yield Command(block.page, block.line, tuple(words), block.why)


def spans(page: Path) -> list[Command]:
    """Whole commands in the text of a page, such as `wsss run --dry-run`; not those with placeholders."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    found = re.findall(r"`((?:\.venv/bin/)?(?:wsss|snakemake|make|python -m) [^`]+)`", text)
    typed = [
        " ".join(span.split()) for span in found if not re.search(r"[<…]|\b[A-Z]{2,}\b|\b[A-Z] [A-Z]\b", span)
    ]
    return [Command(page, 0, tuple(shlex.split(span)), "a span") for span in typed]


def faults(command: Command) -> list[str]:
    """What is wrong with a command as far as it can be told without running it."""
    program, *words = command.program
    if program == "wsss":
        return _faults_of_wsss(words)
    if program == "snakemake":
        return _faults_of_snakemake(words)
    if program == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), flags=re.M)
        return [f"make has no target {word}" for word in words if "=" not in word and word not in targets]
    if program in ("python", "python3") and words[0] == "-m":
        return _faults_of_module(words[1], words[2:])
    if program == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = set(re.findall(r"\[(\w+)\]", " ".join(words)))
        return [f"no extra {extra}" for extra in extras - set(project["optional-dependencies"])]
    return [] if command.why else [f"{program}: a program of others, so the block says why it is not run"]


def _faults_of_wsss(words: Sequence[str]) -> list[str]:
    """Options that a command of wsss does not know."""
    found: Any = typer.main.get_command(app)
    rest = list(words)
    while rest and (inner := getattr(found, "commands", {}).get(rest[0])):
        found = inner
        rest.pop(0)
    if getattr(found, "commands", None) and rest:
        return [f"no command {rest[0]}"]
    known = {option for parameter in found.params for option in [*parameter.opts, *parameter.secondary_opts]}
    return [
        f"no option {word}"
        for word in rest
        if word.startswith("--") and word.split("=")[0] not in {*known, "--help"}
    ]


def _faults_of_snakemake(words: Sequence[str]) -> list[str]:
    known = set(re.findall(r"--[\w-]+", get_argument_parser().format_help()))
    unknown = [
        f"no option {word}" for word in words if word.startswith("--") and word != "--" and word not in known
    ]
    studies = [
        word for word in words if word.startswith(("studies/", "profiles/")) and not (ROOT / word).exists()
    ]
    return [*unknown, *(f"no file {study}" for study in studies)]


def _faults_of_module(module: str, words: Sequence[str]) -> list[str]:
    """Options that the module's own text does not add to its parser."""
    if module in ("venv", "pytest", "pdb"):
        return []
    path = ROOT / Path(*module.split("."))
    sources = [*path.glob("__main__.py"), path.with_suffix(".py")]
    text = "".join(source.read_text("utf-8") for source in sources if source.is_file())
    if not text:
        return [f"no module {module}"]
    return [
        f"{module}: no option {word}" for word in words if word.startswith("--") and f'"{word}"' not in text
    ]
