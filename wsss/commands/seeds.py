"""`wsss seeds`: a study over several seeds, and the mean and spread of its scores."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from wsss.commands.arguments import overlays_of, refuse, study_of
from wsss.commands.run import Cores, DryRun, Only, Profile, check_profile, clear_dead_lock
from wsss.planning.command_line import Target, snakemake_line, workflow_folder, wsss_line

if TYPE_CHECKING:
    from wsss.planning.seeds import Seed
    from wsss.study.config import Study

DEFAULT = ["0", "1", "2"]

Words = Annotated[
    list[str] | None,
    typer.Argument(metavar="STUDY", help="A study, or several YAML files; without any, study.yaml."),
]
Seeds = Annotated[
    list[str] | None,
    typer.Option(metavar="N …", help="The seeds, as in --seeds 0 1 2, which is the default."),
]


def seeds(
    words: Words = None,
    seeds: Seeds = None,
    only: Only = None,
    cores: Cores = None,
    profile: Profile = None,
    dry_run: DryRun = False,
) -> None:
    """Run a study over several seeds, and print mean and spread.

    As in `wsss seeds study.yaml --seeds 0 1 2`. The study itself is the one of its own seed; the others have
    results of their own, results/<study>-seed<n>/, and share what no seed decides. What is finished is not
    run again.
    """
    from wsss.planning.seeds import gathered, seed_studies
    from wsss.study.config import ConfigError
    from wsss.study.reading import base_file

    if profile is not None:
        check_profile(profile)
    files, numbers = _split(words or [], seeds or DEFAULT)
    overlays = overlays_of(files)
    study = study_of(overlays)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory())) if dry_run else gathered(study)
        try:
            studies = seed_studies(base_file(workflow_folder()), overlays, numbers, folder)
        except (ConfigError, OSError) as error:
            refuse(error)
        targets = [] if only in (None, Target.ALL) else [str(only)]
        for seed in studies:
            line = snakemake_line(seed.overlays, *targets, cores=cores, profile=profile, dry_run=dry_run)
            if not dry_run:
                _prepare(seed, [study, *(other.study for other in studies)])
            _run(seed, studies, line, dry_run)
    if not dry_run:
        _gather(sorted(studies, key=lambda seed: numbers.index(seed.number)), gathered(study))


def _split(words: Iterable[str], options: Iterable[str]) -> tuple[list[Path], list[int]]:
    """Tell overlays from seeds: `--seeds 0 1 2` leaves all seeds but the first among the words."""
    words = list(words)
    files = [Path(word) for word in words if not word.isdecimal()]
    given = [*(part for text in options for part in text.replace(",", " ").split())]
    given += [word for word in words if word.isdecimal()]
    for text in given:
        if not text.isdecimal():
            refuse(f"--seeds {text}: expected whole numbers from 0 up, as in --seeds 0 1 2")
    return files, list(dict.fromkeys(map(int, given)))


def _prepare(seed: Seed, origins: Iterable[Study]) -> None:
    """Give a new seed what it shares with the first of the other studies that has something to share."""
    from wsss.planning.seeds import share_with

    clear_dead_lock(list(seed.overlays))
    for origin in origins:
        shared = share_with(origin, seed)
        if shared:
            typer.echo(f"seed {seed.number}: shared with {origin.name}: {', '.join(shared)}")


def _run(seed: Seed, studies: Sequence[Seed], line: Sequence[str], dry_run: bool) -> None:
    """Run one seed; end the command with Snakemake's status if it fails."""
    typer.echo(f"seed {seed.number}: {seed.results}/")
    typer.echo(shlex.join(line))
    status = _status(line, seed.results, dry_run)
    if status:
        finished = [str(other.number) for other in studies[: studies.index(seed)]]
        kept = f"; the results of seed {' and '.join(finished)} stay" if finished else ""
        typer.echo(
            f"seed {seed.number} has stopped, see above{kept}. The same command goes on from there.", err=True
        )
        raise typer.Exit(status)


def _status(line: Sequence[str], results: Path, dry_run: bool) -> int:
    """Run a command to its end, in a live view if there is a terminal, and return its exit status.

    Ctrl-C reaches it, too, and it may take its time to end in good order.
    """
    from wsss.planning.screen import has_screen, run_in_view

    if not dry_run and has_screen():
        sys.stdout.flush()
        return run_in_view(line, results)
    with subprocess.Popen(line) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def _gather(studies: Sequence[Seed], folder: Path) -> None:
    """Print the scores of all seeds and write them."""
    from wsss.planning.seeds import headline, seeds_table, spreads, write_seeds

    found = spreads({seed.number: headline(seed.results) for seed in studies})
    typer.echo(f"\n{seeds_table(found, [seed.number for seed in studies])}")
    written = write_seeds(folder, found, {seed.number: seed.study.name for seed in studies})
    if written:
        typer.echo(f"\nwrote {' and '.join(map(str, written))}")
    if len(studies) > 1:
        typer.echo(f"Two of them side by side: {wsss_line('compare', *(s.results for s in studies[:2]))}")
