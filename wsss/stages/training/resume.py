"""The state of an interrupted training: where it lies, when it is written, and for whom it is valid."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from wsss.results import ArtifactError, load_checkpoint, save_checkpoint

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_SAVES = 120.0
FOLDER = ".resume"


def resume_path(checkpoint: Path | str, *facts: object) -> Path:
    """Name the file for the state of a training that is to end in ``checkpoint``.

    Snakemake deletes declared outputs before it starts a job, so the state lies beside them, undeclared. Its
    name is a digest of ``facts``, all that decides the result (configuration, code, digests of the inputs, as
    plain JSON values): a training with other facts starts anew.
    """
    text = json.dumps([Path(checkpoint).name, *facts], sort_keys=True)
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    return Path(checkpoint).parent / FOLDER / f"{digest}.pt"


@dataclass
class ResumePoint:
    """A file that keeps the state of a running training, written about every ``interval`` seconds.

    ``path=None`` keeps nothing.
    """

    path: Path | None
    interval: float = SECONDS_BETWEEN_SAVES
    clock: Callable[[], float] = time.monotonic
    _saved: float = field(init=False)

    def __post_init__(self) -> None:
        self._saved = self.clock()

    def load(self) -> dict[str, Any] | None:
        """Return the state that an interrupted run left, None if there is none that can be read."""
        if self.path is None or not self.path.exists():
            return None
        try:
            return load_checkpoint(self.path)
        except ArtifactError as error:
            logger.warning("cannot resume, starting anew: %s", error)
            return None

    def save_if_due(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Write ``state()``, in one step, if the last time is long enough ago."""
        if self.path is not None and self.clock() - self._saved >= self.interval:
            save_checkpoint(self.path, state())
            self._saved = self.clock()

    def discard(self) -> None:
        """Remove the state, once the training's result is safe, and the folder if it held nothing else."""
        if self.path is None or not self.path.parent.exists():
            return
        self.path.unlink(missing_ok=True)
        if not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()
