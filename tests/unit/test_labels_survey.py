"""What image-level labels tell before any training."""

from __future__ import annotations

from wsss.planning.labels_survey import FEW, LabelSurvey


def survey(train: list[str], val: list[str] = (), classes: str = "cat dog") -> LabelSurvey:  # type: ignore[assignment]
    """Labels of images, each a text of classes."""
    texts = {f"t{n}": text for n, text in enumerate(train)} | {f"v{n}": text for n, text in enumerate(val)}
    labels = {image_id: tuple(text.split()) for image_id, text in texts.items()}
    splits = {image_id: "train" if image_id.startswith("t") else "val" for image_id in labels}
    return LabelSurvey(tuple(classes.split()), labels, splits)


ENOUGH = ["cat"] * FEW + ["dog"] * FEW


def test_images_are_counted_by_class_and_split() -> None:
    found = survey(["cat", "cat dog", ""], ["dog", ""])
    rows = [line.split() for line in found.table()]
    assert rows == [
        ["train", "val"],
        ["cat", "2", "0"],
        ["dog", "1", "1"],
        ["none", "of", "them", "1", "1"],
        ["images", "3", "2"],
    ]
    assert found.per_image() == 4 / 5


def test_columns_are_as_wide_as_the_longest_name() -> None:
    lines = survey(["a"], classes="a another_rather_long_name").table()
    assert len(set(map(len, lines))) == 1


def test_good_labels_are_no_reason_to_warn() -> None:
    assert list(survey(ENOUGH, ["cat", "dog"]).warnings()) == []


def test_a_class_of_few_images() -> None:
    (said,) = survey(ENOUGH[1:], ["cat", "dog"]).warnings()
    assert said.startswith(f"few training images: cat ({FEW - 1});")


def test_a_class_that_val_lacks() -> None:
    (said,) = survey(ENOUGH, ["cat"]).warnings()
    assert said == "not in val, so the network is not tested on: dog"
    (said,) = survey(ENOUGH, ["cat"]).warnings(own_splits=True)
    assert said.endswith("on: dog; raise dataset.holdout, or name images for val in dataset.splits")


def test_a_class_that_every_image_shows() -> None:
    (said,) = survey(["cat"] * FEW, ["cat"], classes="cat").warnings()
    assert said.startswith("every training image shows cat")
    assert "`background`" in said
    assert list(survey([*["cat"] * FEW, ""], ["cat", ""], classes="cat").warnings()) == []


def test_classes_that_always_come_together_are_told_once() -> None:
    (said,) = survey([*["cat dog"] * FEW, ""], ["cat dog"]).warnings()
    assert said == f"cat and dog always come together ({FEW} images): labels alone cannot tell them apart"


def test_a_class_that_never_comes_without_another() -> None:
    (said,) = survey([*["cat dog"] * FEW, "dog", ""], ["cat dog"]).warnings()
    assert said == f"cat never comes without dog ({FEW} images): labels alone cannot tell them apart"


def test_two_images_alike_are_chance() -> None:
    said = list(survey([*["cat dog"] * 2, *["dog"] * FEW, ""], ["cat dog"]).warnings())
    assert not any("without" in text for text in said)
