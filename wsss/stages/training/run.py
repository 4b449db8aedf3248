"""From a network, its samples and its section of the configuration to a checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from torch import Tensor
from torch.optim import SGD

from wsss.data import ImageRow
from wsss.models.checkpoints import save_network
from wsss.models.network import Network
from wsss.models.parameters import parameter_groups
from wsss.models.weights.loading import load_finished, resolve_weights
from wsss.results import HistoryWriter
from wsss.runtime import Compute
from wsss.stages.job import Stage
from wsss.stages.training.loop import COLUMNS, LossFunction, fit
from wsss.stages.training.resume import ResumePoint, resume_path
from wsss.stages.training.sampling import Plan, ReadSample
from wsss.study.config import AffinityNet, Classifier, Segmenter

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """What a training is told besides its data and its section of the configuration.

    Attributes:
        checkpoint: file for the trained network.
        history: file for the history, TSV.
        classes: names of the classes, without background.
        seed: decides first weights, order, augmentation and dropout.
        compute: where and how the network computes.
        resume: file for the state of an interrupted training, see `resume_path`; None keeps none.
    """

    checkpoint: Path
    history: Path
    classes: Sequence[str]
    seed: int
    compute: Compute
    resume: Path | None = None

    @classmethod
    def of(cls, stage: Stage, classes: Sequence[str]) -> Self:
        """Take from a training rule's job what it says: outputs `checkpoint` and `history`, seed, device."""
        checkpoint = Path(stage.job.output.get("checkpoint"))
        return cls(
            checkpoint=checkpoint,
            history=Path(stage.job.output.get("history")),
            classes=classes,
            seed=stage.seed,
            compute=stage.compute,
            resume=resume_path(checkpoint, stage.config, stage.job.params.code, list(stage.inputs.values())),
        )


def first_weights(config: AffinityNet | Segmenter, classifier: Path | None) -> dict[str, Tensor] | None:
    """Resolve ``config.weights``, in which "classifier" means the checkpoint ``classifier``.

    Raises:
        ValueError: "classifier" without a checkpoint, or weights that cannot be had or do not fit.
    """
    if config.weights != "classifier":
        return resolve_weights(config.weights, config.backbone)
    if classifier is None:
        raise ValueError("weights: classifier: no checkpoint of the classifier was given")
    return resolve_weights(str(classifier), config.backbone)


def adopt(network: Network, config: Classifier | AffinityNet, run: Run) -> None:
    """Write the checkpoint of a network that `config.weights` holds finished; its history has no rows.

    Raises:
        ValueError: the file cannot be read, or its entries are not exactly those of the network.
    """
    load_finished(network, Path(config.weights))
    HistoryWriter(run.history, COLUMNS).close()
    save_network(run.checkpoint, network, config.model_dump(mode="json"), run.classes)


def require_all(results: Mapping[str, object], rows: Sequence[ImageRow], what: str) -> None:
    """Refuse ``results`` that lack one for some image; ``what`` is what the message calls them."""
    if missing := [row.id for row in rows if row.id not in results]:
        raise ValueError(f"{len(missing)} of {len(rows)} images have no {what}, the first is {missing[0]!r}")


def train(
    network: Network,
    read: ReadSample,
    loss_function: LossFunction,
    *,
    samples: int,
    config: Classifier | AffinityNet | Segmenter,
    run: Run,
) -> None:
    """Train ``network`` as ``config`` says and write its checkpoint; see `fit` for the other arguments.

    Raises:
        TrainingError: the training diverged.
    """
    plan = Plan(samples, config.batch_size, config.epochs, run.seed)
    groups = parameter_groups(network, config.learning_rate, config.weight_decay, config.new_layer_factor)
    resume = ResumePoint(run.resume)
    label = type(network).__name__
    logger.info("%s: %d steps of %d from %d images", label, plan.steps, plan.batch_size, samples)
    fit(
        network,
        read,
        loss_function,
        plan=plan,
        optimizer=SGD(groups, momentum=config.momentum),
        power=config.power,
        compute=run.compute,
        history=run.history,
        resume=resume,
        label=label,
    )
    save_network(run.checkpoint, network, config.model_dump(mode="json"), run.classes)
    resume.discard()
