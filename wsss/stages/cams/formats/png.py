"""A grey PNG per class: `<id>_<class>.png` or `<id>/<class>.png`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wsss.stages.foreign.files import read_grey_png

FACTS = {"suffixes": [".png"], "per_class": True}


def read(path: Path, most_values: int) -> NDArray[np.float32]:
    """Read the map of one class; white is 1."""
    return read_grey_png(path, most_values)
