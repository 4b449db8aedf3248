"""`import wsss`: its public names, what importing them costs, and the examples of their docstrings."""

from __future__ import annotations

import ast
import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import wsss
from wsss.public import HOMES

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted({*HOMES.values(), "wsss.method.affinity.stencil"} - {"wsss.method.affinity"})


def for_type_checkers() -> dict[str, str]:
    """The names that `wsss/__init__.py` imports for type checkers, by name."""
    tree = ast.parse((ROOT / "wsss" / "__init__.py").read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_the_three_lists_of_public_names_agree() -> None:
    assert for_type_checkers() == HOMES
    assert sorted(wsss.__all__) == sorted([*HOMES, "__version__"]) == dir(wsss)


@pytest.mark.parametrize("name", HOMES)
def test_a_public_name_is_that_of_its_module_and_explained(name: str) -> None:
    found = getattr(wsss, name)
    assert found is getattr(importlib.import_module(HOMES[name]), name)
    assert found.__doc__


def test_other_names_are_none_of_its_attributes() -> None:
    with pytest.raises(AttributeError, match="no attribute 'refined'"):
        wsss.refined  # noqa: B018 - it raises


def test_importing_it_needs_no_torch() -> None:
    code = "import sys, wsss; print(wsss.__version__, {'torch', 'numpy', 'PIL'} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True)
    assert said.stdout == f"{wsss.__version__} set()\n"


def test_it_is_typed() -> None:
    assert (ROOT / "wsss" / "py.typed").exists()


def test_most_of_the_method_has_examples() -> None:
    finder = doctest.DocTestFinder()
    shown = {name for name in HOMES if any(test.examples for test in finder.find(getattr(wsss, name)))}
    assert {
        "background_score",
        "combine_cams",
        "confident_labels",
        "affinity_stencil",
        "propagate",
        "dense_crf",
        "confusion_matrix",
        "refine",
    } <= shown


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_of_docstrings_give_what_they_say(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0
