"""Run one job of the workflow in this process, without Snakemake around it, so that a debugger can follow.

    python -m pdb -m wsss.stages.stand_in compute_cams split=train shard=00 --configfile studies/own-images.yaml

makes the object `snakemake` of that job from the rule and its wildcards, as Snakemake would, and runs the script's
`main` with it. The job's inputs must be there; outputs are overwritten. Snakemake itself is told nothing: to it the
outputs stay what they were, so let it repeat the job afterwards (`--forcerun`) if the results are to be kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from wsss.stages.job import SnakemakeJob, run
from wsss.study.code_digest import ROOT
from wsss.study.words import did_you_mean


class StandInError(ValueError):
    """There is no such job, or its inputs are missing."""


def stand_in(
    rule: str, wildcards: Mapping[str, str], configfiles: Sequence[Path | str] = (), threads: int = 1
) -> SnakemakeJob:
    """Make the object `snakemake` of a job: input, output, params, log, resources, threads, wildcards.

    Args:
        rule: name of the rule.
        wildcards: value of each of its wildcards.
        configfiles: as given to snakemake, laid over `config.yaml` in this order.
        threads: the most that the job may use.

    Raises:
        StandInError: no such rule, other wildcards, or inputs that are not there.
        WorkflowError: the configuration is invalid.
    """
    from snakemake.script import Snakemake

    workflow = read_workflow(configfiles, threads)
    found = _rule(workflow, rule)
    _check_wildcards(rule, wildcards, found.wildcard_names)
    _prepare_dataset(workflow, rule)
    given = dict(wildcards)
    inputs, *_ = found.expand_input(given)
    if missing := [str(path) for path in inputs if not Path(path).exists()]:
        raise StandInError(f"{rule}: no such input: {', '.join(missing[:3])}{' …' * (len(missing) > 3)}")
    outputs, _ = found.expand_output(given)
    params, _ = found.expand_params(given, inputs, outputs, None)
    resources = found.expand_resources(given, inputs, attempt=1)
    job: SnakemakeJob = Snakemake(
        inputs,
        outputs,
        params,
        _named(given),
        resources["_cores"],
        resources,
        found.expand_log(given),
        workflow.globals["config"],
        rule,
        None,
        str(ROOT / "workflow_scripts"),
    )
    return job


def script_main(rule: str) -> Any:
    """Load a workflow script, which does nothing by itself, and return its `main`."""
    path = ROOT / "workflow_scripts" / f"{rule}.py"
    spec = spec_from_file_location(f"workflow_scripts.{rule}", path)
    if spec is None or spec.loader is None:
        raise StandInError(f"{path}: cannot be loaded")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def read_workflow(configfiles: Sequence[Path | str], threads: int) -> Any:
    """Read the Snakefile, without planning anything."""
    from snakemake.settings import types
    from snakemake.workflow import Workflow

    workflow = Workflow(
        config_settings=types.ConfigSettings(configfiles=[Path(file) for file in configfiles]),
        resource_settings=types.ResourceSettings(cores=threads),
        workflow_settings=types.WorkflowSettings(),
        storage_settings=types.StorageSettings(),
    )
    workflow.include(ROOT / "Snakefile", overwrite_default_target=True)
    return workflow


def _rule(workflow: Any, name: str) -> Any:
    rules = {rule.name: rule for rule in workflow.rules}
    if name not in rules:
        raise StandInError(f"there is no rule {name!r}{did_you_mean(name, rules)}")
    return rules[name]


def _check_wildcards(rule: str, given: Mapping[str, str], expected: set[str]) -> None:
    if set(given) != expected:
        needed = " ".join(f"{name}=…" for name in sorted(expected)) or "no wildcards"
        raise StandInError(f"{rule}: got {' '.join(given) or 'no wildcards'}, expected {needed}")


def _prepare_dataset(workflow: Any, rule: str) -> None:
    """Tell the workflow that its checkpoint has run, if it has: input functions ask for it."""
    outputs, _ = _rule(workflow, "prepare_dataset").expand_output({})
    if rule != "prepare_dataset" and not all(Path(path).exists() for path in outputs):
        raise StandInError(f"the data set is not prepared: run `snakemake {outputs.manifest}` first")
    workflow.checkpoints.created_output.update(outputs)


def _named(values: Mapping[str, str]) -> Any:
    from snakemake.iocontainers import Wildcards

    return Wildcards(fromdict=dict(values))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: the rule, its wildcards as `name=value`, and the configuration as for snakemake."""
    parser = argparse.ArgumentParser(
        prog="python -m wsss.stages.stand_in", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("rule", help="name of a rule, and of its script")
    parser.add_argument("wildcards", nargs="*", metavar="name=value", help="value of each of its wildcards")
    parser.add_argument("--configfile", nargs="+", default=[], help="as given to snakemake")
    parser.add_argument("--threads", type=int, default=1, help="the most that the job may use")
    given = parser.parse_args(arguments)
    if unnamed := [item for item in given.wildcards if "=" not in item]:
        parser.error(f"{unnamed[0]}: expected name=value")
    wildcards = dict(item.split("=", 1) for item in given.wildcards)
    try:
        job = stand_in(given.rule, wildcards, given.configfile, given.threads)
    except StandInError as error:
        parser.exit(2, f"{error}\n")
    run(script_main(given.rule), job)


if __name__ == "__main__":
    main(sys.argv[1:])
