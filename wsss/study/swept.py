"""The values of a sweep, and of a choice among its points: where the walk says `auto`, a sweep chooses."""

from __future__ import annotations

from wsss.study.config import Study, Sweep
from wsss.study.config.fields import AUTO
from wsss.study.counts import shard_counts

AXES = {"alpha": "alphas", "score": "constants", "beta": "betas", "t": "ts"}
"""Keys of `random_walk` that can say `auto`, and the lists of `sweep` with the values that are tried."""


def swept(study: Study) -> Sweep:
    """The section `sweep`, with the walk's own values where it leaves only some of them to the choice.

    Where nothing says `auto`, the values of the walk are no matter of the sweep, and it is as it is written.
    """
    walk = study.random_walk
    if not walk.chosen_keys:
        return study.sweep
    written = {**dict(walk.background), "beta": walk.beta, "t": walk.t}
    lists = {
        name: (*getattr(study.sweep, name), written[key])
        for key, name in AXES.items()
        if written.get(key, AUTO) != AUTO
    }
    return Sweep.model_validate(study.sweep.model_dump() | lists)


def images_per_shard(study: Study) -> int | None:
    """The most images of a shard of train that are swept, or None for all."""
    if study.sweep.images is None:
        return None
    return -(-study.sweep.images // shard_counts(study)["train"])
