"""What the jobs of a cluster ask for, and which rules are no jobs there.

`profiles/slurm` has the one place to edit; it leaves what it says in an environment variable for the rules,
whose resources depend on it through `asks`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wsss.study.config import Study

VARIABLE = "WSSS_CLUSTER"
"""Environment variable with the `Cluster`, as JSON."""

LIGHT = frozenset(
    {
        "bundle_affinitynet",
        "bundle_classifier",
        "bundle_segmenter",
        "check_health",
        "collect_predictions",
        "gather_health",
        "plot_history",
        "plot_quality",
        "plot_scores",
        "plot_sweep",
        "plot_train_gallery",
        "plot_val_gallery",
        "rank_quality",
        "rank_sweep",
        "score_confident",
        "score_quality",
        "score_random_walk",
        "score_segmentation",
        "voc_submission",
        "write_tables",
    }
)
"""Rules that take seconds, or a minute with VOC's thousands of images: where Snakemake runs, they are done
before a job would have started. The others run a network, a random walk or a dense CRF, or write a file for
each image."""


class Cluster(BaseModel):
    """The settings of `profiles/slurm`; None leaves a choice to SLURM.

    Attributes:
        partition, gpu_partition: of all jobs, and of those that ask for a GPU.
        account, qos: to which the jobs are charged, and their quality of service.
        gpus: whether jobs ask for GPUs; without, networks run on CPUs.
        gpu_type: of GPUs, as SLURM names it.
        constraint: features that a node must have, as SLURM writes them.
        tries: of a job that fails; the second asks for twice the memory and time of the first, and so on.
        most_memory_mb, most_minutes: which no later try exceeds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    partition: str | None = None
    gpu_partition: str | None = None
    account: str | None = None
    qos: str | None = None
    gpus: bool = True
    gpu_type: str | None = Field(None, pattern=r"^[\w.]+$")
    constraint: str | None = None
    tries: int = Field(1, ge=1)
    most_memory_mb: int = Field(64000, ge=1)
    most_minutes: int = Field(1440, ge=1)

    @classmethod
    def of_profile(cls, settings: dict[str, Any]) -> Self:
        """The settings that stand in the profile among other names, left in the environment for the rules.

        Raises:
            SystemExit: a value is not allowed.
        """
        try:
            cluster = cls.model_validate({name: settings[name] for name in cls.model_fields})
        except ValidationError as error:
            first = error.errors()[0]
            raise SystemExit(
                f"profiles/slurm: {first['loc'][0]}: {first['input']!r}: {first['msg'].lower()}"
            ) from None
        os.environ[VARIABLE] = cluster.model_dump_json()
        return cluster

    @classmethod
    def of_environment(cls) -> Self:
        """What the profile says; on a workstation, which has none, one try and nothing of SLURM's."""
        text = os.environ.get(VARIABLE)
        return cls.model_validate_json(text) if text else cls()

    @property
    def default_resources(self) -> dict[str, str]:
        """What every job asks for, as `--default-resources` takes it: expressions of Python."""
        asked = {
            "slurm_partition": self.partition,
            "slurm_account": self.account,
            "constraint": self.constraint,
        }
        return {name: repr(value) for name, value in asked.items() if value is not None}

    @property
    def gpu_resources(self) -> dict[str, str]:
        """What a job with a GPU asks for besides."""
        asked = {"slurm_partition": self.gpu_partition, "gpu_model": self.gpu_type}
        return {name: value for name, value in asked.items() if value is not None}


def asks(mem_mb: int, runtime: int, gpu: int = 0) -> dict[str, Any]:
    """The resources of a rule: of its first try, from which later ones are worked out.

    Args:
        mem_mb: memory in MB.
        runtime: minutes.
        gpu: number of GPUs.
    """
    cluster = Cluster.of_environment()
    asked: dict[str, Any] = {
        "mem_mb": _growing(mem_mb, cluster.most_memory_mb),
        "runtime": _growing(runtime, cluster.most_minutes),
    }
    if gpu and cluster.gpus:
        asked |= {"gpu": gpu, **cluster.gpu_resources}
    return asked


def _growing(first: int, most: int) -> Callable[..., int]:
    """A function for Snakemake: so much per try, but not more than ``most`` or than the first."""

    def amount(wildcards: object, attempt: int) -> int:
        return min(first * attempt, max(first, most))

    return amount


def light_rules(study: Study, rules: Iterable[str], prefixes: Iterable[str]) -> list[str]:
    """Those of a workflow's rules that run where Snakemake runs.

    `prepare_dataset` is one of them if it downloads, because nodes often have no network.

    Args:
        study: the study of the workflow.
        rules: the names of all rules.
        prefixes: of the rules of studies within the study.
    """
    downloads = getattr(study.dataset, "download", False)
    light = LIGHT | {"prepare_dataset"} if downloads else LIGHT
    named = {f"{prefix}{rule}" for prefix in ("", *prefixes) for rule in light}
    return sorted(named.intersection(rules))
