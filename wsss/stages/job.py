"""What every workflow script does around its work: logging, seed, threads, device, timer, manifests."""

from __future__ import annotations

import logging
import platform
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import torch

from wsss.results import write_manifest
from wsss.runtime.compute import Compute
from wsss.runtime.console import configure_logging
from wsss.runtime.devices import gpu_slot, peak_memory_mb, seed_everything, set_threads
from wsss.study.provenance import ArtifactManifest, file_digest

logger = logging.getLogger(__name__)

#: Libraries whose version can change a result.
_LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "h5py")


class NamedItems(Protocol):
    """What a stage needs of Snakemake's lists, in which items can have names."""

    def __iter__(self) -> Iterator[Any]:
        """Go through all items, named or not."""

    def get(self, key: str, default_value: Any = None) -> Any:
        """Return the item of this name."""


class Job(Protocol):
    """What a stage needs of the `snakemake` object that scripts are given."""

    rule: str
    input: NamedItems
    output: NamedItems
    log: NamedItems
    params: Any
    wildcards: NamedItems
    resources: NamedItems
    threads: int


class Stage:
    """One job of the workflow: `with Stage(snakemake) as stage:` around the work of a script.

    On the way in it sets up logging to the rule's log, seeds (`seed` of the config, else 0), sets the
    threads, and takes a GPU if the rule asks for one (`resources: gpu=`) and there is one. On success it
    writes an `ArtifactManifest`, `<output>.json`, for each output whose rule declares `<output>.json` as
    well. Inputs are digested on the way in: a file that changes while the stage runs shows as stale later.

    Attributes:
        config: the dict of the rule's `params: config=`.
        seed, threads: what was set.
        label: the rule and its wildcards.
        inputs: digests of the input files by path, set within the `with` block.
        device: set within the `with` block; the CPU for rules that ask for no GPU.
    """

    device: torch.device
    inputs: dict[str, str]

    def __init__(self, job: Job) -> None:
        self.job = job
        self.config: dict[str, Any] = job.params.config
        self.seed = int(self.config.get("seed", 0))
        self.threads = int(job.threads)
        self.label = " ".join([job.rule, "/".join(str(value) for value in job.wildcards)]).strip()

    @property
    def compute(self) -> Compute:
        """Where and how the networks of this job compute."""
        return Compute.of(self.device, self.config["precision"], self.threads)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            configure_logging(next(iter(self.job.log), None), self.label)
            stack.enter_context(_unwinding_when_terminated())
            set_threads(self.threads)
            seed_everything(self.seed)
            self.inputs = {str(path): file_digest(path) for path in self.job.input}
            self.device = stack.enter_context(self._device())
            self._stack = stack.pop_all()
        self._start = time.monotonic()
        logger.info("started on %s with %d threads", self.device, self.threads)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if error is not None:
                logger.error("stopped after %.1f s", self._seconds(), extra={"on_terminal": False})
                return
            outputs = [str(path) for path in self.job.output]
            for artifact in outputs:
                if f"{artifact}.json" in outputs:
                    write_manifest(artifact, self._manifest(artifact))
            logger.info("done in %.1f s, at most %.0f MiB", self._seconds(), peak_memory_mb())

    def reads(self, paths: Iterable[Path]) -> None:
        """Count files as inputs, for the manifests, that Snakemake is not told of one by one."""
        self.inputs |= {str(path): file_digest(path) for path in paths}

    @contextmanager
    def _device(self) -> Iterator[torch.device]:
        if not self.job.resources.get("gpu", 0):
            yield torch.device("cpu")
            return
        with gpu_slot() as device:
            yield device

    def _seconds(self) -> float:
        return round(time.monotonic() - self._start, 1)

    def _manifest(self, artifact: str) -> ArtifactManifest:
        return ArtifactManifest(
            artifact=artifact,
            rule=self.job.rule,
            config=self.config,
            code=self.job.params.code,
            inputs=self.inputs,
            seed=self.config.get("seed"),
            versions=_versions(),
            device=_device_name(self.device),
            seconds=self._seconds(),
            peak_memory_mb=peak_memory_mb(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )


@contextmanager
def _unwinding_when_terminated() -> Iterator[None]:
    """Turn SIGTERM, which SLURM sends before it kills, into an exit that removes temporary files."""
    previous = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
