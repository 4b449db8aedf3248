"""Lists of image ids, one per line."""

from __future__ import annotations

from pathlib import Path

from wsss.data.names import ImageNames
from wsss.data.problems import Problems
from wsss.data.text import lines_of


def read_ids(path: Path, names: ImageNames, problems: Problems) -> dict[str, str]:
    """Read image ids, one per line; return the place (file:line) of each id.

    Names are compared with the images if there are any; an unknown name stands for itself.
    """
    places: dict[str, str] = {}
    for place, name in lines_of(path, "empty split", problems):
        ids = names.find(name)
        if len(ids) > 1:
            problems.add("ambiguous id", f"{place}: {name!r} may be any of {', '.join(sorted(ids)[:3])}")
        image_id = min(ids, default=name)
        if image_id in places:
            problems.add("duplicate id", f"{place}: {image_id!r} is already listed at {places[image_id]}")
        places.setdefault(image_id, place)
    return places
