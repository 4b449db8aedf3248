"""What every workflow script does around its work: params, logging, seed, devices, manifests."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, cast

from wsss.results import write_manifest
from wsss.runtime.console import configure_logging
from wsss.runtime.this_process import peak_memory_mb, seed_everything, set_threads
from wsss.study.config.fields import Section
from wsss.study.follow import settled_values
from wsss.study.integrity import require_intact
from wsss.study.params import Params, params_class
from wsss.study.provenance import ArtifactManifest, file_digests, library_versions

if TYPE_CHECKING:
    import torch

    from wsss.runtime.compute import Compute

ParamsT = TypeVar("ParamsT", bound=Params)
SectionT = TypeVar("SectionT", bound=Section)

logger = logging.getLogger(__name__)


class NamedItems(Protocol):
    """Snakemake's lists, in which items can have names; a named item is an attribute too."""

    def __iter__(self) -> Iterator[Any]:
        """Go through all items, named or not."""

    def __getattr__(self, name: str) -> Any:
        """Return the item of this name."""

    def get(self, key: str, default_value: Any = None) -> Any:
        """Return the item of this name, or the default."""


class SnakemakeJob(Protocol):
    """The parts of the object `snakemake`, which Snakemake gives to scripts, that a job needs."""

    input: NamedItems
    output: NamedItems
    log: NamedItems
    params: Any
    wildcards: NamedItems
    resources: NamedItems
    threads: int


class Job(Generic[ParamsT]):
    """One job of the workflow; `with Job(snakemake) as job:` goes around the work of a script, see `run`.

    On entry it sets up logging to the rule's log, seeds (`seed` of the config, else 0), sets the threads, and
    takes the GPUs that the rule asks for (`resources: gpu=`) if there are any. On success it writes an
    `ArtifactManifest`, `<output>.json`, for each output whose rule declares `<output>.json` as well. Inputs
    are digested on entry: one that is not what it was when it was made ends the job before its work, and one
    that changes while the job runs shows as stale later.

    Attributes:
        params: the sections of the configuration that the rule is given, see `wsss.study.params`.
        input, output, wildcards: of the rule; items have the names that the rule gives them.
        threads, seed: what was set.
        config: `params` as the plain values that Snakemake compares and manifests record.
        code: digests of the rule's code by module.
        label: the rule and its wildcards.
        inputs: digests of the input files by path, set within the `with` block.
        settled: the values of keys that say `auto`, see `settle`.
    """

    inputs: dict[str, str]
    settled: dict[str, Any]
    _written: list[str]

    def __init__(self, snakemake: SnakemakeJob) -> None:
        self.rule = snakemake.params.script  # without the prefix that it has within a study
        self.input, self.output, self.wildcards = snakemake.input, snakemake.output, snakemake.wildcards
        self.config: dict[str, Any] = snakemake.params.config
        self.code: dict[str, str] = snakemake.params.code
        self.params = cast(ParamsT, params_class(self.rule).model_validate(self.config))
        self.settled, self._written = {}, []
        self.seed = int(self.config.get("seed", 0))
        self.threads = int(snakemake.threads)
        self.label = " ".join([self.rule, "/".join(str(value) for value in self.wildcards)]).strip()
        self._log = next(iter(snakemake.log), None)
        self._held: tuple[torch.device, ...] = ()
        self._gpus = int(snakemake.resources.get("gpu", 0))

    @property
    def devices(self) -> tuple[torch.device, ...]:
        """Set within the `with` block: the GPUs of rules that ask for some, else the CPU."""
        if self._held:
            return self._held
        import torch  # most jobs that compute on no GPU work without PyTorch, which takes long to load

        return (torch.device("cpu"),)

    @property
    def device(self) -> torch.device:
        """The first of the job's devices."""
        return self.devices[0]

    @property
    def compute(self) -> Compute:
        """Where and how the networks of this job compute; with several GPUs, a process on each may train."""
        from wsss.runtime.compute import Compute  # loads PyTorch

        return Compute.of(self.devices, getattr(self.params, "precision", None) or "auto", self.threads)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            configure_logging(self._log, self.label)
            stack.enter_context(_unwinding_when_terminated())
            set_threads(self.threads)
            seed_everything(self.seed)
            self.inputs = {}
            self.reads(self.input)
            if self._gpus:
                from wsss.runtime.devices import gpu_slots  # loads PyTorch

                self._held = stack.enter_context(gpu_slots(self._gpus))
            self._stack = stack.pop_all()
        self._start = time.monotonic()
        names = " and ".join(map(str, self._held)) or "cpu"
        logger.info("started on %s with %d threads", names, self.threads)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if error is not None:
                logger.error("stopped after %.1f s", self._seconds(), extra={"on_terminal": False})
                return
            self._write_manifests([str(path) for path in self.output])
            logger.info("done in %.1f s, at most %.0f MiB", self._seconds(), peak_memory_mb())

    def reads(self, paths: Iterable[Path | str]) -> None:
        """Record files as inputs in the manifests, such as some that are not inputs of the rule.

        Raises:
            DamagedError: One is not what it was when it was made.
        """
        digests = file_digests(paths, self.threads)
        require_intact(digests)
        self.inputs |= digests

    def wrote(self, paths: Iterable[Path | str]) -> None:
        """Record files as outputs in the manifests that are not outputs of the rule."""
        self._written += map(str, paths)

    def settle(self, name: str, section: SectionT) -> SectionT:
        """Record in log and manifests what a section of the params says in place of `auto`; return it."""
        values = settled_values(getattr(self.params, name), section, name)
        for key, value in values.items():
            logger.info("%s: auto is %s here", key, value)
        self.settled |= values
        return section

    def _seconds(self) -> float:
        return round(time.monotonic() - self._start, 1)

    def _write_manifests(self, outputs: list[str]) -> None:
        """Each has the digests of its artifact, and of all files that have no manifest of their own."""
        artifacts = [path for path in outputs if f"{path}.json" in outputs]
        written = dict.fromkeys([*outputs, *self._written])
        made_by = {f"{artifact}.json" for artifact in artifacts}
        there = (path for path in written if path not in made_by and Path(path).is_file())
        digests = file_digests(there, self.threads)
        others = {path: digest for path, digest in digests.items() if path not in artifacts}
        for artifact in artifacts:
            own = {artifact: digests[artifact]} if artifact in digests else {}
            write_manifest(artifact, self._manifest(artifact, own | others))

    def _manifest(self, artifact: str, outputs: dict[str, str]) -> ArtifactManifest:
        return ArtifactManifest(
            artifact=artifact,
            rule=self.rule,
            config=self.config,
            code=self.code,
            inputs=self.inputs,
            outputs=outputs,
            settled=self.settled,
            seed=self.config.get("seed"),
            versions=library_versions(),
            threads=self.threads,
            device=" and ".join(map(_device_name, self._held)) or "cpu",
            seconds=self._seconds(),
            peak_memory_mb=peak_memory_mb(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def run(main: Callable[[Job[ParamsT]], None], snakemake: SnakemakeJob) -> None:
    """Run the `main` of a workflow script as the job that Snakemake, or a stand-in for it, describes."""
    job: Job[ParamsT] = Job(snakemake)
    with job:
        main(job)


@contextmanager
def _unwinding_when_terminated() -> Iterator[None]:
    """Turn SIGTERM, which SLURM sends before it kills, into an exit that removes temporary files."""
    previous = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _device_name(device: torch.device) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
