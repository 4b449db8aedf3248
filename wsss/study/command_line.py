"""What is wrong with a command line of Snakemake, in one sentence, before Snakemake reads a study.

The profiles call `check_command_line`: a missing study file or YAML that cannot be read would otherwise end
in Snakemake's traceback, a study where a target belongs in "Nothing to be done", and a run without cores
never ends."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from wsss.study.config import ConfigError
from wsss.study.config.files import read_yaml
from wsss.study.invocation import program

CONFIGFILE = ("--configfile", "--configfiles")
OTHER_FILES = ("--profile", "--workflow-profile", "--snakefile", "-s")
"""Options besides `--configfile` whose values may be YAML files."""

CORES = ("--cores", "-c", "--jobs", "-j")

YAML = (".yaml", ".yml")


def check_command_line(arguments: Sequence[str] | None = None) -> None:
    """End the program with a sentence if the command line cannot lead to a run.

    A study cannot be read, or stands where a target belongs, or there are no cores.

    Args:
        arguments: of Snakemake, by default those of this process.
    """
    given = sys.argv[1:] if arguments is None else arguments
    values = list(_values(given))
    studies = [value for option, value in values if option in CONFIGFILE]
    for option, value in values:
        if option in CORES and value.strip() in ("0", "none"):
            raise SystemExit(f"{option} {value}: no job can run; expected a number from 1 on, or all")
        if option in CONFIGFILE:
            if len(studies) > 1 and not Path(value).exists() and Path(value).suffix not in YAML:
                raise SystemExit(_perhaps_a_target(value, given))
            _check_study(Path(value))
        elif option not in OTHER_FILES and _is_study(value):
            raise SystemExit(f"{value} is a study, not a target; what runs it: {_as_a_study(value, given)}")


def _values(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each argument that is no option, with the option before it; "" if there is none, or after `--`."""
    option = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if argument == "--":
            option = ""
        elif argument.startswith("-") and equals:
            yield name, value
            option = ""
        elif argument[:2] in CORES and argument[2:].isdigit():
            yield argument[:2], argument[2:]
            option = ""
        elif argument.startswith("-"):
            option = argument
        else:
            yield option, argument


def _check_study(path: Path) -> None:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else f"no such file ({path.absolute()})"
        raise SystemExit(f"{path}: {what}; --configfile expects the YAML file of a study")
    try:
        read_yaml(path)
    except (ConfigError, OSError) as error:
        raise SystemExit(str(error)) from None


def _as_a_study(value: str, arguments: Sequence[str]) -> str:
    """The command that takes a target for a study, after those that are given."""
    others = [argument for argument in arguments if argument not in (value, "--")]
    studies = [place for place, name in enumerate(others) if name in CONFIGFILE]
    if studies:
        others.insert(studies[-1] + 2, value)
    else:
        others += [CONFIGFILE[0], value]
    return shlex.join([*program("snakemake"), *others])


def _perhaps_a_target(value: str, arguments: Sequence[str]) -> str:
    others = list(arguments)
    others.remove(value)
    return (
        f"{value}: no such study file, and --configfile takes all that follows for one; targets come first: "
        f"{shlex.join([*program('snakemake'), value, *others])}"
    )


def _is_study(value: str) -> bool:
    """Whether a target is a file of a study; the best point of a sweep is a result, too."""
    path = Path(value)
    return path.suffix in YAML and path.is_file() and (path.parent.name, path.name) != ("sweep", "best.yaml")
