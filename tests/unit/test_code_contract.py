"""Which rules a change of a module reruns: for every module of the package, by an oracle of its own.

`wsss.study.code_digest` reads syntax trees. The oracle reads bytecode, as Python's `modulefinder` does, and
asks the imported package where a name was defined.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from modulefinder import ModuleFinder
from pathlib import Path
from types import CodeType, ModuleType

import pytest

from wsss.study.code_digest import code_digest
from wsss.study.config import load_study
from wsss.study.modules import loaded_modules
from wsss.study.params import PARAMS

ROOT = Path(__file__).resolve().parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "wsss").rglob("*.py"))
}

REACH_NO_RESULT = {
    "wsss.public",
    "wsss.runtime.console",
    "wsss.runtime.disk",
    "wsss.runtime.locks",
    "wsss.study.config",
    "wsss.study.integrity",
    "wsss.study.options",
    "wsss.study.params",
    "wsss.study.provenance",
    "wsss.study.registry",
    "wsss.study.temporary",
    "wsss.study.verification",
    "wsss.study.words",
}
"""Modules and packages that jobs import, and that change no result: a change of these reruns nothing."""

STUDIES = {
    "default": {},
    "other kinds": {
        "dataset": {"kind": "coco", "root": "coco"},
        "cams": {"kind": "files", "format": "psa", "folder": "cams"},
        "affinities": {"kind": "boundary", "folder": "maps"},
        "segmenter": {"weights": "start.pth", "head": "smp/unet", "backbone": "resnet18"},
    },
    "irn": {
        "dataset": {"kind": "folder", "root": "photos"},
        "affinities": {"kind": "irn"},
        "segmentation": {"refine": "dense_crf"},
    },
}


class Oracle:
    """The modules whose code a script runs."""

    def __init__(self) -> None:
        self.scan = ModuleFinder().scan_opcodes

    def closure(self, script: Path, loaded: list[str]) -> set[str]:
        """The modules that a script imports, directly or not, and those that it loads by name."""
        found: set[str] = set(loaded)
        pending = [*self.imported(script, ""), *(name for name in loaded for name in self.of(name))]
        while pending:
            name = pending.pop()
            if name not in found and not self.reaches_nothing(name):
                found.add(name)
                pending += self.of(name)
        return found

    def reaches_nothing(self, name: str) -> bool:
        return any(name == other or name.startswith(f"{other}.") for other in REACH_NO_RESULT)

    @cache  # noqa: B019 - one oracle per test run
    def of(self, name: str) -> frozenset[str]:
        """What a module imports."""
        return frozenset(self.imported(MODULES[name], name))

    def imported(self, path: Path, name: str) -> Iterator[str]:
        """The modules that define what a file imports, and the packages around them that have code."""
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for level, names, module in self.statements(path):
            base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            target = ".".join([*base, *([module] if module else [])])
            if target.partition(".")[0] != "wsss":
                continue
            for origin in self.origins(target, names):
                yield origin
                parts = origin.split(".")
                around = (".".join(parts[:end]) for end in range(1, len(parts)))
                yield from (parent for parent in around if self.has_code(parent))

    def origins(self, target: str, names: tuple[str, ...]) -> Iterator[str]:
        """Where the names that are imported from a module are defined."""
        if not names and not self.is_package(target):
            yield target
        for name in names:
            if f"{target}.{name}" in MODULES:
                yield f"{target}.{name}"
            elif self.has_code(target) or not self.is_package(target):
                yield target
            elif name != "__version__":  # which changes no result
                yield self.definition(target, name)

    def definition(self, package: str, name: str) -> str:
        """The module that defines what a package without code of its own hands on."""
        value = getattr(import_module(package), name)
        owner = getattr(value, "__module__", None)
        if owner in MODULES and name in self.stored(owner):
            return str(owner)
        owners = [m for m in MODULES if m != package and self.holds(m, name, value)]
        assert len(owners) == 1, (package, name, owners)
        return owners[0]

    def holds(self, module: str, name: str, value: object) -> bool:
        """Whether a module defines this value under a name."""
        loaded = sys.modules.get(module)
        return loaded is not None and getattr(loaded, name, None) is value and name in self.stored(module)

    def is_package(self, module: str) -> bool:
        return MODULES[module].name == "__init__.py"

    def has_code(self, module: str) -> bool:
        """Whether a package defines something itself, and does not only hand on."""
        own = {name for name in self.stored(module) if not name.startswith("__")}
        hooks = {"__getattr__", "__dir__"} & self.stored(module)
        return self.is_package(module) and bool(own | hooks)

    @cache  # noqa: B019
    def stored(self, module: str) -> frozenset[str]:
        """The names that a module binds other than by importing them."""
        code = self.compiled(MODULES[module])
        bound = [what[0] for kind, what in self.scan(code) if kind == "store"]
        imported = {name for _, names, _ in self.statements(MODULES[module], nested=False) for name in names}
        return frozenset(bound) - imported

    def statements(self, path: Path, *, nested: bool = True) -> Iterator[tuple[int, tuple[str, ...], str]]:
        """Level, names and module of each import in a file."""
        codes = [self.compiled(path)]
        while codes:
            code = codes.pop()
            for kind, what in self.scan(code):
                if kind == "absolute_import":
                    yield 0, tuple(what[0] or ()), what[1]
                elif kind == "relative_import":
                    yield what[0], tuple(what[1] or ()), what[2]
            codes += [const for const in code.co_consts if nested and isinstance(const, CodeType)]

    @cache  # noqa: B019
    def compiled(self, path: Path) -> CodeType:
        """The bytecode of a file without what only type checkers see."""
        text = path.read_text("utf-8").replace("if TYPE_CHECKING:", "if False:")
        return compile(text, path, "exec", dont_inherit=True)


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle()


def rules_by_module(study: str, oracle: Oracle) -> dict[str, set[str]]:
    """The rules that the oracle has rerun after a change of each module of the package."""
    rules: dict[str, set[str]] = {module: set() for module in MODULES}
    for rule in PARAMS:
        loaded = loaded_modules(load_study(STUDIES[study]), rule)
        for module in oracle.closure(ROOT / "workflow_scripts" / f"{rule}.py", loaded):
            rules[module].add(rule)
    return rules


@pytest.mark.parametrize("study", STUDIES)
def test_a_change_of_a_module_reruns_the_rules_that_run_it(study: str, oracle: Oracle) -> None:
    found: dict[str, set[str]] = {module: set() for module in MODULES}
    for rule in PARAMS:
        loaded = loaded_modules(load_study(STUDIES[study]), rule)
        digests = code_digest(f"workflow_scripts/{rule}.py", loaded, ROOT)
        for module in digests.keys() - {f"{rule}.py"}:
            found[module].add(rule)
    assert found == rules_by_module(study, oracle)


def test_commands_planning_and_shown_modules_rerun_no_training(oracle: Oracle) -> None:
    """Whatever the oracle says of single modules: these packages are not of the road."""
    for module, rules in rules_by_module("default", oracle).items():
        if module.startswith(("wsss.commands", "wsss.planning")):
            assert not rules, module
        if module.startswith("wsss.report"):
            assert not {rule for rule in rules if rule.startswith(("train_", "compute_", "random_walk"))}


def test_the_digest_of_each_module_is_that_of_its_content(tmp_path: Path, oracle: Oracle) -> None:
    """A rule that runs a module sees that it was edited, and that no other was."""
    for part in ("wsss", "workflow_scripts"):
        shutil.copytree(ROOT / part, tmp_path / part)
    study = load_study({})
    tried = 0
    for module, rules in rules_by_module("default", oracle).items():
        if not rules:
            continue
        rule = min(rules)
        script, loaded = f"workflow_scripts/{rule}.py", loaded_modules(study, rule)
        before = code_digest(script, loaded, tmp_path)
        path = tmp_path / MODULES[module].relative_to(ROOT)
        text = path.read_text("utf-8")
        path.write_text(f"{text}\nSOMETHING_NEW = {tried}\n", "utf-8")
        after = code_digest(script, loaded, tmp_path)
        assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
            module
        }
        tried += 1
    assert tried > 100


def test_the_oracle_sees_through_packages(oracle: Oracle) -> None:
    assert not oracle.has_code("wsss.runtime")
    assert oracle.definition("wsss.results", "read_cams") == "wsss.results.cam_stacks"
    assert isinstance(import_module("wsss.results"), ModuleType)
