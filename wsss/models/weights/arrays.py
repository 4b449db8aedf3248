"""Arrays of other frameworks as tensors."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

logger = logging.getLogger(__name__)

State = dict[str, np.ndarray]


def as_tensors(path: Path, state: Mapping[str, np.ndarray], unused: Sequence[str]) -> dict[str, Tensor]:
    """Copy arrays to float32 tensors, and log the names of a file's arrays that are not used."""
    if unused:
        logger.info("weights: %s: not used: %s", path, ", ".join(unused))
    return {key: torch.from_numpy(np.array(array, np.float32)) for key, array in state.items()}
