"""The state of an interrupted training: where it lies, when it is written, and for whom it is valid."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from wsss.results import ArtifactError
from wsss.results.checkpoints import load_checkpoint, save_checkpoint
from wsss.study.provenance import file_digest

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
    """Keeps the state of a running training in files beside ``path``, one about every ``interval`` seconds.

    Their names have the digest of their content, so that a damaged one is told from a whole one before it is
    read; the one before the newest is kept for that case. ``path=None`` keeps nothing.
    """

    path: Path | None
    interval: float = SECONDS_BETWEEN_SAVES
    clock: Callable[[], float] = time.monotonic
    _saved: float = field(init=False)

    def __post_init__(self) -> None:
        self._saved = self.clock()

    @property
    def states(self) -> list[Path]:
        """The files that there are, ``<name>.<number>.<digest>.pt``, the newest first."""
        if self.path is None:
            return []
        return sorted(self.path.parent.glob(f"{self.path.stem}.*.*.pt"), reverse=True)

    def load(self) -> dict[str, Any] | None:
        """Return the state that an interrupted run left, None if there is none that is whole."""
        states = self.states
        for state in states:
            try:
                if file_digest(state) != state.suffixes[-2].removeprefix("."):
                    raise ArtifactError(f"{state}: damaged, its content is not what its name says")
                return load_checkpoint(state)
            except ArtifactError as error:
                otherwise = "starting anew" if state == states[-1] else "going on from the state before it"
                logger.warning("cannot resume from the last state, %s: %s", otherwise, error)
        return None

    def save_if_due(self, state: Callable[[], Mapping[str, Any]]) -> None:
        """Write ``state()``, in one step, if the last time is long enough ago."""
        if self.path is not None and self.clock() - self._saved >= self.interval:
            self._save(self.path, state())
            self._saved = self.clock()

    def discard(self) -> None:
        """Remove the states, once the training's result is safe, and the folder if it held nothing else."""
        if self.path is None or not self.path.parent.exists():
            return
        for file in self.path.parent.glob(f"{self.path.stem}.*"):
            file.unlink(missing_ok=True)
        if not any(self.path.parent.iterdir()):
            self.path.parent.rmdir()

    def _save(self, path: Path, state: Mapping[str, Any]) -> None:
        states = self.states
        for file in states[1:]:
            file.unlink(missing_ok=True)  # before the new one: the disk never holds three
        number = int(states[0].suffixes[-3].removeprefix(".")) + 1 if states else 0
        unnamed = path.with_suffix(".new")
        save_checkpoint(unnamed, state)
        os.replace(unnamed, path.with_suffix(f".{number:06}.{file_digest(unnamed)}.pt"))
