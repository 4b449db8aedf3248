"""torchvision's ImageNet weights, downloaded once and checked against their hash."""

from __future__ import annotations

import pickle
from pathlib import Path
from urllib.parse import urlparse

import torch
from torch import Tensor
from torchvision.models import WeightsEnum

from wsss.models.weights.reading import read_state


def download(source: WeightsEnum) -> dict[str, Tensor]:
    """Fetch weights, from torch's cache if they are there.

    Raises:
        ValueError: they cannot be had, and the message says which file to put where; or those that are there
            are damaged.
    """
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(source.url).path).name
    if cached.is_file():
        try:
            return read_state(cached)
        except ValueError as error:
            raise ValueError(f"{error}. Without this file it is downloaded again") from error
    try:
        return dict(source.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"weights: imagenet: cannot get {source.url} ({error}). Without a connection: download it "
            f"elsewhere and put it at {cached}, or name it in the study, as in "
            f"`classifier: {{weights: {cached.name}}}`."
        ) from error
