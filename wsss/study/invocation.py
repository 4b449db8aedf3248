"""How Snakemake was started, so that the commands that are printed run as they stand.

The Snakefile knows it, and hands it to its jobs in an environment variable: as a param it would make results
depend on the name of the file that holds the study.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from wsss.study.words import near

VARIABLE = "WSSS_INVOCATION"
"""Environment variable with the `Invocation`, as JSON."""


class ConfigSettings(Protocol):
    """What the command line said about the configuration."""

    configfiles: Sequence[Path]
    config_args: Any


class Workflow(Protocol):
    """The part of Snakemake's `workflow` that says how it was started."""

    main_snakefile: str
    config_settings: ConfigSettings


@dataclass(frozen=True)
class Invocation:
    """The options of Snakemake that select a study.

    Attributes:
        configfiles: as given with `--configfile`, relative to the working directory where they are below it.
        config: as given with `--config`, `key=value` each.
        snakefile: its path, if it is not the one that Snakemake finds by itself.
    """

    configfiles: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    snakefile: str | None = None

    @classmethod
    def of(cls, workflow: Workflow) -> Self:
        """Take the options from Snakemake's `workflow`."""
        settings, snakefile = workflow.config_settings, Path(workflow.main_snakefile)
        at_hand = any(
            Path(name).resolve() == snakefile.resolve() for name in ("Snakefile", "workflow/Snakefile")
        )
        return cls(
            tuple(near(path) for path in settings.configfiles),
            tuple(settings.config_args or ()),
            None if at_hand else near(snakefile),
        )

    @classmethod
    def of_environment(cls) -> Self | None:
        """The invocation that the Snakefile left for its jobs; None outside of a run."""
        text = os.environ.get(VARIABLE)
        return cls.from_json(json.loads(text)) if text else None

    def environment(self) -> dict[str, str]:
        """The variable for `of_environment`."""
        return {VARIABLE: json.dumps(self.to_json())}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The invocation that `to_json` gave."""
        return cls(tuple(values["configfiles"]), tuple(values["config"]), values["snakefile"])

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    def command(self, *arguments: str, overlays: Iterable[str] = ()) -> str:
        """A command line of Snakemake for this study: targets and options, and overlays after its own files.

        Targets come first, because `--configfile` takes everything behind it for a file.
        """
        snakefile = ["--snakefile", self.snakefile] if self.snakefile else []
        config = ["--config", *self.config] if self.config else []
        files = [*self.configfiles, *overlays]
        configfiles = ["--configfile", *files] if files else []
        return shlex.join([*program("snakemake"), *arguments, *snakefile, *config, *configfiles])

    def runnable(self, text: str, results: Path | str) -> str:
        """Complete a text: commands, code spans such as `` `snakemake sweep` ``, and the folder RESULTS."""
        return re.sub(
            r"`snakemake\b ?([^`]*)`",
            lambda span: f"`{self.command(*shlex.split(span[1]))}`",
            text.replace("RESULTS", str(results)),
        )


def program(name: str) -> list[str]:
    """The words that start a program: by its path where the shell would find another one or none."""
    own, found = Path(sys.executable).with_name(name), shutil.which(name)
    if not own.exists():
        return [name] if found else [sys.executable, "-m", name]
    return [name if found and Path(found).resolve() == own.resolve() else near(own)]
