"""Run one job of the workflow in this process, without Snakemake around it, for a debugger:

    python -m pdb -m wsss.stages.stand_in compute_cams split=train shard=00 --configfile studies/mine.yaml

This makes the object `snakemake` of the job from its rule and wildcards, as Snakemake would, and calls the
script's `main` with it. The inputs must be there; outputs are overwritten. Snakemake does not learn of it:
let it repeat the job (`--forcerun`) before building on the results.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from wsss.stages.job import Job, SnakemakeJob, run
from wsss.study.code_digest import WORKFLOW
from wsss.study.invocation import Invocation
from wsss.study.words import did_you_mean

SCRIPTS = WORKFLOW / "workflow_scripts"


class StandInError(ValueError):
    """There is no such job, its inputs are missing, or the configuration is invalid."""


def stand_in(
    rule: str, wildcards: Mapping[str, str], configfiles: Sequence[Path | str] = (), threads: int = 1
) -> SnakemakeJob:
    """Make the object `snakemake` of a job: input, output, params, log, resources, threads and wildcards.

    Args:
        rule: name of the rule.
        wildcards: value of each of its wildcards.
        configfiles: as given to snakemake, laid over `config.yaml` in this order.
        threads: the most that the job may use.

    Raises:
        StandInError: no such rule, other wildcards, inputs that are not there, or an invalid configuration.
    """
    workflow = read_workflow(configfiles, threads)
    found = _rule(workflow, rule)
    _check_wildcards(rule, wildcards, found.wildcard_names)
    if rule != "prepare_dataset":
        _count_dataset_as_prepared(workflow)
    return _job(found, dict(wildcards))


def read_workflow(configfiles: Sequence[Path | str] = (), threads: int = 1) -> Any:
    """Read the Snakefile, without planning anything: Snakemake's `Workflow`, with its rules.

    Raises:
        StandInError: the configuration is invalid, or a file that it names is missing.
    """
    import snakemake.api  # before snakemake.workflow, which imports it too
    from snakemake.exceptions import WorkflowError
    from snakemake.logging import LoggerManager, logger
    from snakemake.settings import types

    try:
        workflow = snakemake.api.Workflow(
            config_settings=types.ConfigSettings(configfiles=[Path(file) for file in configfiles]),
            resource_settings=types.ResourceSettings(cores=threads),
            workflow_settings=types.WorkflowSettings(),
            logger_manager=LoggerManager(logger, types.OutputSettings()),
            storage_settings=types.StorageSettings(),
        )
        workflow.include(WORKFLOW / "Snakefile", overwrite_default_target=True)
    except (WorkflowError, OSError, SystemExit) as error:
        raise StandInError(str(error)) from error
    return workflow


def script_main(rule: str) -> Callable[[Job[Any]], None]:
    """Load a workflow script, which does nothing by itself, and return its `main`.

    Raises:
        FileNotFoundError: no rule of this name has a script.
    """
    spec = spec_from_file_location(f"workflow_scripts.{rule}", SCRIPTS / f"{rule}.py")
    assert spec is not None  # of a path that ends in .py
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[[Job[Any]], None] = module.main
    return main


def _rule(workflow: Any, name: str) -> Any:
    rules = {rule.name: rule for rule in workflow.rules}
    if name not in rules:
        raise StandInError(f"there is no rule {name!r}{did_you_mean(name, rules)}")
    return rules[name]


def _check_wildcards(rule: str, given: Mapping[str, str], expected: set[str]) -> None:
    if set(given) != expected:
        needed = " ".join(f"{name}=…" for name in sorted(expected)) or "no wildcards"
        raise StandInError(f"{rule}: got {' '.join(given) or 'no wildcards'}, expected {needed}")


def _count_dataset_as_prepared(workflow: Any) -> None:
    """Tell the workflow that its checkpoint has run, which all input functions ask for."""
    outputs, _ = _rule(workflow, "prepare_dataset").expand_output({})
    prepares = Invocation.of(workflow).command("prepare_dataset")
    if missing := [path for path in outputs if not Path(path).exists()]:
        raise StandInError(f"{missing[0]}: no such file: run `{prepares}` first")
    workflow.checkpoints.created_output.update(outputs)


def _job(rule: Any, wildcards: dict[str, str]) -> SnakemakeJob:
    from snakemake.iocontainers import Wildcards
    from snakemake.script import Snakemake

    inputs, *_ = rule.expand_input(wildcards)
    if missing := [str(path) for path in inputs if not Path(path).exists()]:
        raise StandInError(
            f"{rule.name}: missing inputs: {', '.join(missing[:3])}{', …' * (len(missing) > 3)}"
        )
    outputs, _ = rule.expand_output(wildcards)
    params, _ = rule.expand_params(wildcards, inputs, outputs, None)
    resources = rule.expand_resources(wildcards, inputs, attempt=1)
    log, named, threads = rule.expand_log(wildcards), Wildcards(fromdict=wildcards), resources["_cores"]
    config, iteration, folder = rule.workflow.config, None, str(SCRIPTS)
    job: SnakemakeJob = Snakemake(
        inputs, outputs, params, named, threads, resources, log, config, rule.name, iteration, folder
    )
    return job


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: the rule, its wildcards as `name=value`, and the configuration as for snakemake."""
    parser = argparse.ArgumentParser(
        prog="python -m wsss.stages.stand_in", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("rule", help="name of a rule, and of its script")
    parser.add_argument("wildcards", nargs="*", metavar="name=value", help="value of each of its wildcards")
    parser.add_argument("--configfile", nargs="+", default=[], help="as for snakemake")
    parser.add_argument("--threads", type=int, default=1, help="the most that the job may use")
    given = parser.parse_args(arguments)
    if unnamed := [item for item in given.wildcards if "=" not in item]:
        parser.error(f"{unnamed[0]}: expected name=value")
    wildcards = dict(item.split("=", 1) for item in given.wildcards)
    try:
        job = stand_in(given.rule, wildcards, given.configfile, given.threads)
    except StandInError as error:
        parser.exit(2, f"{error}\n")
    run(script_main(job.params.script), job)


if __name__ == "__main__":
    main()
