"""The command `wsss`: all that goes around a run of the workflow; its commands are in `wsss.commands`."""

from __future__ import annotations

import os
import sys

import typer

from wsss.commands import config, export, voc_submission, weights
from wsss.commands.branch import branch
from wsss.commands.check import check
from wsss.commands.compare import compare
from wsss.commands.init import init
from wsss.commands.predict import predict
from wsss.commands.report import report
from wsss.commands.run import run
from wsss.commands.seeds import seeds
from wsss.commands.summary import summary
from wsss.commands.tables import tables
from wsss.commands.tensorboard import tensorboard
from wsss.commands.verify import verify
from wsss.commands.watch import watch
from wsss.study.caches import cache_folders

READER_ENDED = 128 + 13
"""Exit status of what is ended by SIGPIPE."""

app = typer.Typer(
    help="Masks from image-level labels: studies, their runs and their results.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command()(branch)
app.command()(check)
app.command()(compare)
app.command()(init)
app.command()(predict)
app.command()(report)
app.command()(run)
app.command()(seeds)
app.command()(summary)
app.command()(tables)
app.command()(tensorboard)
app.command()(verify)
app.command()(watch)
app.add_typer(config.app, name="config")
app.add_typer(export.app, name="export")
app.add_typer(voc_submission.app, name="voc-submission")
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Run the command line, as the program `wsss` does.

    A reader that ends early, as `head` does, ends it without a word, and a damaged result with a sentence.
    """
    os.environ.update(cache_folders())
    try:
        try:
            app(prog_name="wsss")
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(READER_ENDED)
    except ValueError as error:
        from wsss.study.provenance import DamagedError

        if not isinstance(error, DamagedError):
            raise
        typer.echo(error, err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
