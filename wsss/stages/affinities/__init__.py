"""Affinities of neighbouring cells, one module per kind: FACTS, and `compute(…)` with its section.

`FACTS["network"]` is the network whose checkpoint the kind needs, on a GPU if there is one, or None. A kind's
module is imported by name, so that a job depends on the code of this kind alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from wsss.data import Manifest
from wsss.results import AffinityGrid
from wsss.runtime.compute import Compute
from wsss.study.config import Affinities
from wsss.study.params import ComputeAffinities
from wsss.study.registry import AFFINITY_KINDS, module_name

AffinityItem = tuple[str, NDArray[np.float16]] | tuple[str, NDArray[np.float16], NDArray[np.float16]]
"""An image's id, stencil (P, h, w) float16 in [0, 1], and the boundary (h, w) that it comes from, if any."""


class ComputedAffinities(NamedTuple):
    """What `write_affinities` takes: the grid, and the affinities of one image after the other."""

    grid: AffinityGrid
    items: Iterable[AffinityItem]


class AffinitiesJob(Protocol):
    """What a kind needs of the job of the rule `compute_affinities`."""

    @property
    def params(self) -> ComputeAffinities:
        """The section `affinities`, and the precision of networks."""

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


class AffinityKind(Protocol):
    """A module of this package."""

    def compute(self, affinities: Any, images: Manifest, job: AffinitiesJob) -> ComputedAffinities:
        """Compute affinities, before the power beta."""


def compute_affinities(job: AffinitiesJob, images: Manifest) -> ComputedAffinities:
    """Compute the affinities of images as the section `affinities` of the job's params says.

    Raises:
        ValueError: files that the kind reads are missing or damaged.
        ArtifactError: the checkpoint is damaged or holds another network.
    """
    affinities: Affinities = job.params.affinities
    kind: AffinityKind = import_module(module_name(AFFINITY_KINDS, affinities.kind))
    return kind.compute(affinities, images, job)
