"""Class activation maps, one module per kind: FACTS, and `compute(cams, images, job)` with its section.

`FACTS["network"]` is the network whose checkpoint the kind needs, on a GPU if there is one, or None. A kind's
module is imported by name, so that a job depends on the code of this kind alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wsss.data import Manifest
from wsss.runtime.compute import Compute
from wsss.study.config import Cams
from wsss.study.params import ComputeCams
from wsss.study.registry import CAM_KINDS, module_name

CamItem = tuple[str, NDArray[np.float16], NDArray[np.int64]]
"""An image's id, CAMs (K, H, W) float16 in [0, 1], and the mask values of the K maps, ascending."""


class CamsJob(Protocol):
    """What a kind needs of the job of the rule `compute_cams`."""

    @property
    def params(self) -> ComputeCams:
        """The section `cams`, and the precision of networks."""

    @property
    def input(self) -> Any:
        """The input files by name: `checkpoint`, of kinds that need a network."""

    @property
    def threads(self) -> int:
        """How many threads the job may use."""

    @property
    def compute(self) -> Compute:
        """Where and how networks compute."""

    def reads(self, paths: Iterable[Path]) -> None:
        """Count files as inputs that the rule does not name one by one."""


class CamKind(Protocol):
    """A module of this package."""

    def compute(self, cams: Any, images: Manifest, job: CamsJob) -> Iterable[CamItem]:
        """Compute or read the CAMs of images, one after the other."""


def compute_cams(job: CamsJob, images: Manifest) -> Iterable[CamItem]:
    """Compute the CAMs of images as the section `cams` of the job's params says, one image after the other.

    Raises:
        ValueError: files that the kind reads are missing or damaged.
        ArtifactError: the checkpoint is damaged or holds another network.
    """
    cams: Cams = job.params.cams
    kind: CamKind = import_module(module_name(CAM_KINDS, cams.kind))
    return kind.compute(cams, images, job)


def require_same_classes(network: str, class_names: Sequence[str], images: Manifest) -> None:
    """Refuse a network of other classes than those of the images, or in another order."""
    if tuple(class_names) != tuple(images.class_names):
        raise ValueError(
            f"{network} of {', '.join(class_names)}, but the images have the classes "
            f"{', '.join(images.class_names)}"
        )
