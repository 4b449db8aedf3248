"""From a network, its samples and its section of the configuration to a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from torch import Tensor, nn

from wsss.data import ImageRow
from wsss.models.checkpoints import save_network
from wsss.models.grouped import train_in_groups
from wsss.models.initial_weights import load_finished, resolve_weights
from wsss.models.network import Network
from wsss.results import HistoryWriter
from wsss.runtime.compute import Compute
from wsss.runtime.processes import in_processes
from wsss.stages.training.loop import COLUMNS, fit
from wsss.stages.training.optimizers import build_optimizer
from wsss.stages.training.resume import ResumePoint, resume_path
from wsss.stages.training.sampling import Plan, ReadSample, require_equal_shares
from wsss.stages.training.selection import Selection
from wsss.study.config import AffinityNet, Classifier, IRNet, Segmenter
from wsss.study.config.fields import settled
from wsss.study.features import features_folder

if TYPE_CHECKING:
    from wsss.stages.job import Job

Section = Classifier | AffinityNet | IRNet | Segmenter

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """What a training is told besides its data and its section of the configuration.

    Attributes:
        checkpoint: file for the trained network.
        history: file for the history, TSV.
        class_names: without background.
        seed: decides first weights, order, augmentation and dropout.
        compute: where and how the network computes.
        resume: keeps the state of an interrupted training; by default none.
        features: folder in which the features of a frozen backbone stay for later jobs; by default they go
            when the training ends.
    """

    checkpoint: Path
    history: Path
    class_names: Sequence[str]
    seed: int
    compute: Compute
    resume: ResumePoint = field(default_factory=lambda: ResumePoint(None))
    features: Path | None = None

    @classmethod
    def of(cls, job: Job[Any], class_names: Sequence[str]) -> Self:
        """Take a training rule's outputs `checkpoint` and `history`, seed and devices from its job."""
        checkpoint = Path(job.output.checkpoint)
        return cls(
            checkpoint=checkpoint,
            history=Path(job.output.history),
            class_names=class_names,
            seed=job.seed,
            compute=job.compute,
            resume=ResumePoint(resume_path(checkpoint, job.config, job.code, list(job.inputs.values()))),
            features=features_folder(job.input.images),
        )


def distribute(work: Callable[..., None], section: Section, run: Run, *arguments: Any) -> None:
    """Call ``work(section, run, *arguments)`` in each of the processes that train together.

    Raises:
        ValueError: they cannot share a batch equally.
    """
    require_equal_shares(section.batch_size, run.compute.processes)
    in_processes(_with_its_compute, run.compute, work, section, run, *arguments)


def _with_its_compute(
    compute: Compute, work: Callable[..., None], section: Section, run: Run, *arguments: Any
) -> None:
    work(section, replace(run, compute=compute), *arguments)


def first_weights(
    section: AffinityNet | IRNet | Segmenter, classifier: Path | None
) -> dict[str, Tensor] | None:
    """Resolve ``section.weights``, in which "classifier" means the checkpoint ``classifier``.

    Raises:
        ValueError: "classifier" without a checkpoint, or weights that cannot be had or do not fit.
    """
    if section.weights != "classifier":
        return resolve_weights(section.weights, section.backbone)
    if classifier is None:
        raise ValueError("weights: classifier: no checkpoint of the classifier was given")
    return resolve_weights(str(classifier), section.backbone)


def adopt(network: Network, section: Classifier | AffinityNet | IRNet, run: Run) -> None:
    """Save a network loaded complete from ``section.weights``, with an empty history.

    Raises:
        ValueError: the file cannot be read, or its entries are not exactly those of the network.
    """
    load_finished(network, Path(section.weights))
    HistoryWriter(run.history, COLUMNS).close()
    save_network(run.checkpoint, network, section, run.class_names)


def require_all(results: Mapping[str, object], rows: Sequence[ImageRow], what: str) -> None:
    """Refuse ``results`` that lack one for some image; ``what`` is what the message calls them."""
    if missing := [row.id for row in rows if row.id not in results]:
        raise ValueError(f"{len(missing)} of {len(rows)} images have no {what}, the first is {missing[0]!r}")


def train(
    network: Network,
    losses: nn.Module,
    read: ReadSample,
    *,
    samples: int,
    section: Section,
    run: Run,
    stand_for: int | None = None,
    selection: Selection | None = None,
) -> None:
    """Train ``network``, which ``losses`` holds, as ``section`` says, and write its checkpoint.

    See `fit` for ``losses`` and ``read``; ``samples`` is the number of images. If they ``stand_for`` more,
    they are seen more often, so that the number of steps is that of all of these. ``selection`` says which
    state is kept, by default the last.

    Raises:
        TrainingError: the training diverged.
    """
    epochs = settled(section.epochs) * (stand_for or samples) / samples
    plan = Plan(samples, section.batch_size, epochs, run.seed)
    label = type(network).__name__
    logger.info("%s: %d steps of %d from %d images", label, plan.steps, plan.batch_size, samples)
    train_in_groups(network)
    fit(
        losses,
        read,
        plan=plan,
        optimizer=build_optimizer(network, section.optimizer),
        schedule=section.schedule,
        compute=run.compute,
        history=run.history,
        resume=run.resume,
        label=label,
        selection=selection,
    )
    if run.compute.leads:
        save_network(run.checkpoint, network, section, run.class_names)
        run.resume.discard()
