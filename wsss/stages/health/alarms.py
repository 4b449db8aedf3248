"""What an alarm is: a failure that has a figure, a meaning and a remedy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, NamedTuple, Self

Severity = Literal["alarm", "warning"]
"""alarm: what follows cannot be good; warning: it may be good, but look at it."""

LISTED = 6
"""Names in a figure: a data set of 80 classes must not fill the screen."""


@dataclass(frozen=True)
class Alarm:
    """One way in which a study goes wrong.

    Commands in ``help`` are code spans that begin with ``snakemake``, and RESULTS is the folder of the
    study's results; `Invocation.runnable` completes both.

    Attributes:
        name: for `health.json` and the documentation.
        stage: what it is about, a folder of results.
        title: the failure in a few words.
        fires: at which figures it is an alarm, and at which a warning.
        meaning: what the failure does to the stages behind it.
        help: sentences with the key or command that helps, the best first.
    """

    name: str
    stage: str
    title: str
    fires: str
    meaning: str
    help: tuple[str, ...]

    def of(self, network: str) -> Self:
        """The alarm of one network: its name takes the place of NETWORK in all texts."""
        texts = {
            key: value.replace("NETWORK", network) for key, value in asdict(self).items() if key != "help"
        }
        return replace(self, **texts, help=tuple(text.replace("NETWORK", network) for text in self.help))

    def judge(self, figure: str, *, alarm: bool = False, warning: bool = False) -> Verdict:
        """Give the figure that was found, and whether it is an alarm or a warning; neither: all is well."""
        return Verdict(self, figure, "alarm" if alarm else "warning" if warning else None)


class Verdict(NamedTuple):
    """What one check found: ``severity`` is None where all is well."""

    alarm: Alarm
    figure: str
    severity: Severity | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, in which commands and paths are yet to be completed."""
        alarm = self.alarm
        found = {"alarm": alarm.name, "stage": alarm.stage, "title": alarm.title, "figure": self.figure}
        if self.severity is None:
            return found | {"severity": None}
        return found | {"severity": self.severity, "meaning": alarm.meaning, "help": list(alarm.help)}


def percent(share: float) -> str:
    """Write a share in [0, 1]: 0 % and 100 % are exactly these."""
    value = 100 * share
    return f"{value:.0f} %" if abs(value - round(value)) < 1e-9 else f"{value:.1f} %"


def points(share: float) -> str:
    """Write a mIoU or IoU in [0, 1] as in tables, without a unit."""
    return f"{100 * share:.1f}"


def listed(items: Iterable[str]) -> str:
    """List a few items, and say how many are left out."""
    all_items = list(items)
    more = len(all_items) - LISTED
    return ", ".join(all_items[:LISTED]) + (f" and {more} more" if more > 0 else "")


def known(value: float | None) -> float | None:
    """A score that JSON holds, or None where there is nothing to score."""
    return None if value is None or math.isnan(value) else value
