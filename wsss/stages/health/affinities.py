"""Whether the affinities know borders; only true masks tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wsss.stages.health.alarms import Alarm, Verdict, known

LEAKY, BLIND = 0.4, 0.7
"""Mean affinity, after the power beta, of neighbours of different classes as a share of that of neighbours of
the same class. The studies have 0.08 and 0.16; at 1 the walk is a blur."""

NO_BORDERS = Alarm(
    name="no-borders",
    stage="affinities",
    title="affinities that know no borders",
    fires=f"with true masks; alarm: the mean affinity across true borders is {BLIND:g} of that within a "
    f"class or more; warning: {LEAKY:g}",
    meaning="The walk spreads scores over borders as easily as inside an object.",
    help=(
        "Raise `random_walk.beta`: `snakemake sweep` tries several.",
        "Train the network of the affinities longer, `affinitynet.epochs` or `irnet.epochs`, or on a finer "
        "grid, `input_scale`.",
    ),
)


def check_affinities(metrics: Mapping[str, Any]) -> list[Verdict]:
    """Check the content of `scores/affinities.json`."""
    equal, different = known(metrics["equal"]), known(metrics["different"])
    if not metrics["scored_images"] or equal is None or different is None or equal <= 0:
        return []
    share = different / equal
    figure = f"{different:.2g} across true borders, {equal:.2g} within a class"
    return [NO_BORDERS.judge(figure, alarm=share >= BLIND, warning=share >= LEAKY)]
