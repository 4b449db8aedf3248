"""The command `wsss`: all that goes around a run of the workflow; its commands are in `wsss.commands`."""

from __future__ import annotations

import typer

from wsss.commands import config, export, voc_submission
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
from wsss.commands.verify import verify
from wsss.commands.weights import weights

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
app.command()(verify)
app.command()(weights)
app.add_typer(config.app, name="config")
app.add_typer(export.app, name="export")
app.add_typer(voc_submission.app, name="voc-submission")

if __name__ == "__main__":
    app(prog_name="wsss")
