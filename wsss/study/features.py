"""Where the features of frozen backbones lie while a run lasts, for all of its jobs."""

from __future__ import annotations

import atexit
import shutil
from pathlib import Path

FOLDER = "features"


def features_folder(images: Path | str) -> Path | None:
    """The folder of features of the study in whose folder `dataset` a table of images lies, if it does."""
    dataset = next((parent for parent in Path(images).parents if parent.name == "dataset"), None)
    return dataset.parent / FOLDER if dataset else None


def forget_features(results: Path | str) -> None:
    """Remove the features of a study with results in a folder, if there are any."""
    shutil.rmtree(Path(results) / FOLDER, ignore_errors=True)


def keep_features_for_this_run(results: Path | str) -> None:
    """Remove what a run that was killed has left, and when this one ends, what it has kept."""
    forget_features(results)
    atexit.register(forget_features, results)
