"""The problems of a data set, collected and reported all at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

SHOWN_PER_KIND = 20

ALIKE = 4
"""So many messages that say the same of different files, or of different numbers, become one line."""

NAMED = 12
"""So many of these files are named."""

_QUOTED_OR_NUMBER = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|\d+")


class DatasetError(ValueError):
    """A data set that cannot be used; the message names every kind of problem, with file and line."""


class Problems:
    """Problems by kind, in the order in which the kinds first occurred."""

    def __init__(self) -> None:
        self._messages: dict[str, list[str]] = {}

    def add(self, kind: str, message: str) -> None:
        """Add a problem; ``message`` starts with the file, and the line if there is one."""
        self._messages.setdefault(kind, []).append(printable(message))

    def __len__(self) -> int:
        """Return the number of problems."""
        return sum(map(len, self._messages.values()))

    def extend(self, others: Problems) -> None:
        """Add the problems that another collection holds."""
        for kind, messages in others._messages.items():
            self._messages.setdefault(kind, []).extend(messages)

    def lines(self) -> list[str]:
        """Return all problems as `kind: message`."""
        return [f"{kind}: {message}" for kind, messages in self._messages.items() for message in messages]

    def raise_any(self, name: str) -> None:
        """Raise a :class:`DatasetError` about the data set ``name`` if there are problems.

        It shows the first 20 of each kind and the number of the others; those that say the same are one line.
        """
        if self._messages:
            lines = [f"{name}: {len(self)} {'problem' if len(self) == 1 else 'problems'}"]
            for kind, messages in self._messages.items():
                lines += _paragraph(kind, messages)
            raise DatasetError("\n".join(lines))


def _paragraph(kind: str, messages: list[str]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for message in messages:
        groups.setdefault(_pattern(message), []).append(message)
    parts: list[list[str]] = []
    for message in messages:
        alike = groups[_pattern(message)]
        if len(alike) < ALIKE:
            parts.append([message])
        elif alike[0] is message:
            parts.append(alike)
    lines = [f"    {_together(alike)}" for alike in parts[:SHOWN_PER_KIND]]
    if left := sum(map(len, parts[SHOWN_PER_KIND:])):
        lines.append(f"    … and {left} more")
    return [f"  {kind} ({len(messages)}):", *lines]


def _pattern(message: str) -> str:
    """Return what a message says, without its place and without numbers; names in quotes are kept."""
    place, mark, said = message.partition(": ")
    return (
        _QUOTED_OR_NUMBER.sub(lambda found: "#" if found[0].isdigit() else found[0], said) if mark else place
    )


def _together(alike: Sequence[str]) -> str:
    """Write messages that say the same as one: the first, and the places of the others."""
    first, *others = alike
    if not others:
        return first
    where = first.partition(": ")[0]
    folder = PurePath(where).parent
    places = [PurePath(message.partition(": ")[0]) for message in others]
    if set(map(str, places)) == {where}:
        return f"{first} (and {len(others)} more like it)"
    named = [place.name if place.parent == folder else str(place) for place in places[:NAMED]]
    more = f" and {len(places) - NAMED} more" if len(places) > NAMED else ""
    return f"{first}; likewise {', '.join(named)}{more}"


def printable(text: str) -> str:
    """Write bytes of a name that are no text, which no terminal and no file in UTF-8 takes, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
