"""The workflow scripts: one per rule, each a `main` that a test or a debugger can call."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from wsss.stages.stand_in import script_main
from wsss.study.params import PARAMS, params_class

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow_scripts"
LONGEST = 40
"""Lines: a script unpacks the job and writes files; what it computes is a function of the package."""


def test_each_rule_has_a_script_and_each_script_a_rule() -> None:
    assert {path.stem for path in SCRIPTS.glob("*.py")} == set(PARAMS)


@pytest.mark.parametrize("rule", PARAMS)
def test_a_script_is_a_main_for_the_params_of_its_rule(rule: str) -> None:
    main = script_main(rule)
    (job,) = inspect.signature(main).parameters.values()
    assert job.annotation.__args__ == (params_class(rule),)
    assert inspect.signature(main).return_annotation is None


@pytest.mark.parametrize("rule", PARAMS)
def test_a_script_is_short_and_computes_nothing_by_itself(rule: str) -> None:
    text = (SCRIPTS / f"{rule}.py").read_text()
    assert len(text.splitlines()) <= LONGEST
    functions = [node.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    assert functions == ["main"]
