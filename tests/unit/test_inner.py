"""Studies within a study: what rounds and full supervision make of its configuration."""

from __future__ import annotations

from typing import Any

import pytest

from wsss.study.config import ConfigError, Study, load_study
from wsss.study.inner import inner_studies, last_round, later_rounds, place_of, studies_by_place, upper_bound

BETA = {"random_walk": {"beta": 7.0}}


def study(**sections: Any) -> Study:
    return load_study({"name": "mine", **sections})


def test_a_study_has_one_round_and_no_upper_bound_unless_it_says_so() -> None:
    assert inner_studies(study()) == []
    assert last_round(study()) == study()


def test_each_round_starts_from_the_network_of_the_round_before() -> None:
    second, third = later_rounds(
        study(rounds={"count": 3}, segmentation={"scales": [1.0, 2.0], "flip": True})
    )
    assert (second.prefix, third.prefix) == ("round2_", "round3_")
    assert (second.study.folder, third.study.folder) == ("results/mine/rounds/2", "results/mine/rounds/3")
    assert second.study.cams.kind == third.study.cams.kind == "segmenter"
    assert second.study.cams.checkpoint == "results/mine/segmenter/checkpoint.pt"
    assert third.study.cams.checkpoint == "results/mine/rounds/2/segmenter/checkpoint.pt"
    assert (second.study.cams.scales, second.study.cams.flip) == ((1.0, 2.0), True)
    assert last_round(study(rounds={"count": 3})).folder == "results/mine/rounds/3"


def test_a_round_has_the_classifier_of_its_study_and_trains_none() -> None:
    (second,) = later_rounds(study(rounds={"count": 2}))
    checkpoint = "results/mine/classifier/checkpoint.pt"
    assert second.study.affinitynet.weights == second.study.segmenter.weights == checkpoint
    assert second.study.trained_networks == ["affinitynet", "segmenter"]


def test_later_rounds_have_sections_of_their_own() -> None:
    around = study(rounds={"count": 2, "later": BETA}, random_walk={"t": 9})
    (second,) = later_rounds(around)
    assert (around.random_walk.beta, second.study.random_walk.beta) == (12.0, 7.0)
    assert second.study.random_walk.t == 9
    assert second.study.confident == around.confident


def test_rounds_that_must_agree_learn_what_the_round_before_says_too() -> None:
    second, third = later_rounds(study(rounds={"count": 3, "agreement": True}))
    assert second.study.segmenter.agreed_with == "results/mine/random_walk"
    assert third.study.segmenter.agreed_with == "results/mine/rounds/2/random_walk"
    assert later_rounds(study(rounds={"count": 2}))[0].study.segmenter.agreed_with is None


@pytest.mark.parametrize(
    ("later", "message"),
    [
        ({"classifier": {}}, r"rounds\.later.*no round has a section `classifier` of its own"),
        ({"random_wlak": {}}, r"rounds\.later.*did you mean .*random_walk"),
    ],
)
def test_sections_that_rounds_share_cannot_differ(later: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        study(rounds={"count": 2, "later": later})


def test_what_a_later_round_says_is_checked_with_its_key() -> None:
    with pytest.raises(ConfigError, match=r"rounds\.later\.random_walk\.beta"):
        later_rounds(study(rounds={"count": 2, "later": {"random_walk": {"beta": -1}}}))


def test_full_supervision_differs_in_the_masks_alone() -> None:
    around = study(upper_bound=True, rounds={"count": 2, "later": BETA})
    (full,) = upper_bound(around)
    assert (full.prefix, full.study.folder) == ("full_", "results/mine/full")
    assert (around.segmenter.supervision, full.study.segmenter.supervision) == ("weak", "full")
    same = {"supervision": "weak", "weights": "classifier"}
    assert full.study.segmenter.model_copy(update=same) == around.segmenter
    assert full.study.segmentation == around.segmentation
    assert inner_studies(full.study) == []


def test_full_supervision_is_equal_to_the_last_round() -> None:
    later = {"segmenter": {"epochs": 7, "loss": {"kind": "symmetric"}}, "segmentation": {"flip": True}} | BETA
    around = study(upper_bound=True, rounds={"count": 2, "later": later}, segmentation={"flip": False})
    (full,) = upper_bound(around)
    last = last_round(around)
    assert full.study.segmenter.model_copy(update={"supervision": "weak"}) == last.segmenter
    assert (full.study.segmenter.epochs, full.study.segmenter.supervision) == (7, "full")
    assert full.study.segmentation == last.segmentation
    assert full.study.random_walk == around.random_walk
    (alone,) = upper_bound(study(upper_bound=True, rounds={"count": 1, "later": later}))
    assert alone.study.segmenter.epochs == around.segmenter.epochs


def test_corrected_masks_are_of_no_effect_under_full_supervision() -> None:
    assert "corrected" in study(segmenter={"supervision": "full"}).segmenter.idle()
    assert "corrected" not in study().segmenter.idle()


@pytest.mark.parametrize(
    ("folder", "place"),
    [
        ("cams/train/00.npz", ""),
        ("rounds/2/cams/train/00.npz", "rounds/2"),
        ("rounds/12/health.json", "rounds/12"),
        ("full/segmenter/checkpoint.pt", "full"),
        ("fuller/notes.txt", ""),
        ("rounds", ""),
    ],
)
def test_results_belong_to_the_study_in_whose_folder_they_lie(folder: str, place: str) -> None:
    assert place_of(folder) == place


def test_a_folder_that_the_study_no_longer_has_belongs_to_none() -> None:
    around = study(rounds={"count": 2})
    (second,) = later_rounds(around)
    studies = studies_by_place(around)
    assert studies.get(place_of("rounds/2/cams/train/00.npz")) == second.study
    assert studies.get(place_of("cams/train/00.npz")) is around
    assert studies.get(place_of("rounds/3/cams/train/00.npz")) is None
    assert studies.get(place_of("full/segmenter/checkpoint.pt")) is None
