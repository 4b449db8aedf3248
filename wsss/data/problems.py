"""The problems of a data set, collected and reported all at once."""

from __future__ import annotations

SHOWN_PER_KIND = 20


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

        It shows the first 20 of each kind and the number of the others.
        """
        if self._messages:
            lines = [f"{name}: {len(self)} {'problem' if len(self) == 1 else 'problems'}"]
            for kind, messages in self._messages.items():
                lines += _paragraph(kind, messages)
            raise DatasetError("\n".join(lines))


def _paragraph(kind: str, messages: list[str]) -> list[str]:
    lines = [f"  {kind} ({len(messages)}):", *(f"    {message}" for message in messages[:SHOWN_PER_KIND])]
    if len(messages) > SHOWN_PER_KIND:
        lines.append(f"    … and {len(messages) - SHOWN_PER_KIND} more")
    return lines


def printable(text: str) -> str:
    """Write bytes of a name that are no text, which no terminal and no file in UTF-8 takes, as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()
