"""Files of CLIP-ES."""

from __future__ import annotations

from pathlib import Path

from wsss.stages.cams.foreign import ForeignCams, class_numbers, entry
from wsss.stages.foreign.files import read_pickled_npy

FACTS = {"suffixes": [".npy"]}


def read(path: Path, most_values: int) -> ForeignCams:
    """Read {"keys", "attn_highres"}, as CLIP-ES writes it."""
    content = read_pickled_npy(path, most_values)
    return ForeignCams(entry(content, "attn_highres"), class_numbers(entry(content, "keys")))
