"""Studies within a study: its later rounds, and its upper bound.

Each is a study of its own, with results in a folder of the study around it, `rounds/2` or `full`, and with
the data set and the classifier of that study. Only its sections make it what it is: a round has seeds from a
network in place of CAMs, the upper bound has `segmenter: {supervision: full}`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import ValidationError

from wsss.study.config import ConfigError, Study, merged
from wsss.study.config.text import problems

CHECKPOINT = "checkpoint.pt"

ROUND = "round{}_"
"""Prefix of the rules of a later round, by its number."""


class Name(NamedTuple):
    """What a study within a study is called: by people, and before the names of its rules."""

    name: str
    prefix: str
    folder: str


FULL = Name("full supervision", "full_", "full")


class Inner(NamedTuple):
    """A study within a study.

    Attributes:
        name: as people call it.
        prefix: of the names of its rules.
        study: its configuration.
    """

    name: str
    prefix: str
    study: Study


def later_rounds(study: Study) -> list[Inner]:
    """The rounds after the first, whose seeds are the predictions of the round before.

    Raises:
        ConfigError: `rounds.later` makes no valid study.
    """
    before, found = study, []
    for number in range(2, study.rounds.count + 1):
        settings = _seeds(before) | (_agreement(before) if study.rounds.agreement else {})
        before = _inner(study, f"{study.folder}/rounds", str(number), settings, study.rounds.later)
        found.append(Inner(f"round {number}", ROUND.format(number), before))
    return found


def upper_bound(study: Study) -> list[Inner]:
    """The study whose segmentation network learns from true masks, if there is one.

    All else is equal to the round whose network is the result.
    """
    if not study.upper_bound:
        return []
    later = study.rounds.later if study.rounds.count > 1 else {}
    equal: dict[str, Any] = {
        section: later[section] for section in ("segmenter", "segmentation") if section in later
    }
    settings = merged(equal, {"segmenter": {"supervision": "full"}})
    inner = _inner(study, study.folder, FULL.folder, settings, {})
    return [Inner(FULL.name, FULL.prefix, inner)]


def inner_studies(study: Study) -> list[Inner]:
    """All studies within a study."""
    return later_rounds(study) + upper_bound(study)


def studies_by_place(study: Study) -> dict[str, Study]:
    """A study, under an empty name, and those within it by the folder below its results: see `place_of`."""
    return {"": study} | {
        inner.study.folder.removeprefix(f"{study.folder}/"): inner.study for inner in inner_studies(study)
    }


def place_of(folder: str) -> str:
    """The folder of the study within a study to which a folder below its results belongs, or nothing.

    Args:
        folder: path below the results of the study around, such as `rounds/2/cams/train`.
    """
    first, *others = folder.split("/")
    if first == "rounds" and others:
        return f"{first}/{others[0]}"
    return first if first == FULL.folder else ""


def last_round(study: Study) -> Study:
    """The round whose network and masks are the result of a study: itself, if it has one round."""
    return later_rounds(study)[-1].study if study.rounds.count > 1 else study


def _seeds(before: Study) -> dict[str, Any]:
    """The section `cams` of the round after another: its network sees what it sees for its masks."""
    segmentation = before.segmentation
    return {
        "cams": {
            "kind": "segmenter",
            "checkpoint": f"{before.folder}/segmenter/{CHECKPOINT}",
            "scales": segmentation.scales,
            "flip": segmentation.flip,
        }
    }


def _agreement(before: Study) -> dict[str, Any]:
    """The section `segmenter` of the round after another: it learns what both rounds say."""
    return {"segmenter": {"agreed_with": f"{before.folder}/random_walk"}}


def _inner(study: Study, results: str, name: str, settings: dict[str, Any], overlay: dict[str, Any]) -> Study:
    """A study with other settings, an overlay over these, and the classifier of the study around it."""
    place = {
        "name": name,
        "results": results,
        "upper_bound": False,
        "rounds": {"count": 1, "agreement": False, "later": {}},
    }
    plain = merged(merged(merged(study.model_dump(), place), settings), overlay)
    for network in ("affinitynet", "irnet", "segmenter"):
        if plain[network].get("weights") == "classifier":
            plain[network] = plain[network] | {"weights": f"{study.folder}/classifier/{CHECKPOINT}"}
    try:
        return Study.model_validate(plain)
    except ValidationError as error:
        found = [f"rounds.later.{problem}" for problem in problems(error, Study)]
    raise ConfigError("\n  ".join(["invalid configuration:", *found]))
