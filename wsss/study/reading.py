"""The study of a run of Snakemake: `config.yaml`, the files of `--configfile`, the values of `--config`.

Snakemake's own merging, the directive `configfile:`, does not know kinds: `{kind: constant, score: 0.3}` laid
over `{kind: power, alpha: 16}` would give both. So the Snakefile hands its `workflow` to this module instead.
Jobs that Snakemake starts, on this machine or on a cluster, are told of the same files and values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any, Protocol

from wsss.study.config import ConfigError, Study, read_study
from wsss.study.counts import shard_counts

BASE = "config.yaml"


class ConfigSettings(Protocol):
    """What the command line said: `--configfile`, `--config` and `--replace-workflow-config`."""

    configfiles: Sequence[Path]
    config: Mapping[str, Any]
    replace_workflow_config: bool


class Workflow(Protocol):
    """The part of Snakemake's `workflow` that says what the configuration is."""

    basedir: str
    configfiles: list[Path]
    config_settings: ConfigSettings


def workflow_study(workflow: Workflow) -> Study:
    """The study that Snakemake was started with; `config.yaml` joins the workflow's list of files.

    Its numbers of shards are settled: images are counted once, however many rules ask.

    Raises:
        ConfigError: As for `read_study`.
        OSError: If a file cannot be read.
    """
    settings = workflow.config_settings
    base = [] if settings.replace_workflow_config else [base_file(workflow.basedir)]
    workflow.configfiles.extend(base)
    study = read_study(*base, *settings.configfiles, overrides=settings.config)
    return study.model_copy(update={"shards": shard_counts(study)})


def check_places(workflow_folder: Path | str, python: Path | str) -> None:
    """Refuse folders in which no job can start, before the first one fails.

    Args:
        workflow_folder: The folder of the Snakefile.
        python: The interpreter that runs the jobs.

    Raises:
        ConfigError: Saying what to move.
    """
    if quote(str(python)) != str(python):
        environment = Path(python).parent.parent
        raise ConfigError(
            f"{environment}: Snakemake starts no job with a Python whose path holds a space or another sign "
            "that the shell reads: move the virtual environment, or make it anew elsewhere"
        )
    if set("{}") & set(str(workflow_folder)):
        raise ConfigError(f"{workflow_folder}: Snakemake fills in braces: rename the folder")


def base_file(workflow_folder: Path | str) -> Path:
    """`config.yaml` of the working directory if it has one, else that of the folder of the Snakefile."""
    here = Path(BASE)
    return here if here.is_file() else Path(workflow_folder, BASE)
