"""Checkpoints that describe themselves: weights, the section that built the network, and the class names.

Each network's own module reads its checkpoints, so that this one depends on none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from torch import Tensor

from wsss.models.network import Network
from wsss.results import ArtifactError
from wsss.results.checkpoints import load_checkpoint, save_checkpoint
from wsss.study.config.fields import Section

AnyNetwork = TypeVar("AnyNetwork", bound=Network)
AnySection = TypeVar("AnySection", bound=Section)


@dataclass(frozen=True)
class Restored(Generic[AnyNetwork, AnySection]):
    """A trained network, and all that is needed to use it.

    Attributes:
        network: on the CPU, in evaluation mode; its backbone knows how images are normalised.
        section: the section of the configuration that it was trained with.
        class_names: the classes, without background, in the order of a classifier's outputs.
    """

    network: AnyNetwork
    section: AnySection
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Stored(Generic[AnySection]):
    """A checkpoint's content, with its section and class names checked."""

    path: Path
    section: AnySection
    class_names: tuple[str, ...]
    state_dict: Mapping[str, Tensor]

    def restored(self, network: AnyNetwork) -> Restored[AnyNetwork, AnySection]:
        """Load the weights into a network that was built from the section.

        Raises:
            ArtifactError: they do not fit.
        """
        try:
            network.load_state_dict(self.state_dict)
        except RuntimeError as error:
            raise ArtifactError(f"{self.path}: {error}") from error
        return Restored(network.eval(), self.section, self.class_names)


def save_network(path: Path, network: Network, section: Section, class_names: Sequence[str]) -> None:
    """Write a checkpoint, which `restore_classifier`, `restore_affinitynet` or `restore_segmenter` reads.

    It holds plain values and tensors: the network's kind, the section as JSON, the class names without
    background, and the state dict.
    """
    save_checkpoint(
        path,
        {
            "network": type(network).__name__,
            "section": section.model_dump(mode="json"),
            "class_names": list(class_names),
            "state_dict": network.state_dict(),
        },
    )


def read_network(path: Path | str, kind: type[Network], section: type[AnySection]) -> Stored[AnySection]:
    """Read a checkpoint of one kind of network.

    Raises:
        ArtifactError: the file is damaged or holds another kind of network, or its section is not valid.
    """
    content = load_checkpoint(path)
    if content.get("network") != kind.__name__:
        raise ArtifactError(f"{path}: holds {content.get('network', 'no network')}, expected {kind.__name__}")
    if missing := [key for key in ("section", "class_names", "state_dict") if key not in content]:
        raise ArtifactError(f"{path}: lacks {', '.join(missing)}, as checkpoints of other versions do")
    return Stored(
        Path(path),
        _section(path, content["section"], section),
        tuple(content["class_names"]),
        content["state_dict"],
    )


def _section(path: Path | str, values: Any, section: type[AnySection]) -> AnySection:
    try:
        return section.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "section"
        raise ArtifactError(
            f"{path}: its section is not valid: {where}: got {first['input']!r}: {first['msg']}"
        ) from error
