"""Folders of images: what is read, and every way in which they are refused."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from wsss.data import DatasetError, Manifest, checks, write_mask
from wsss.data.folder import held_out
from wsss.stages.dataset import prepare
from wsss.study.config import Folder

AWKWARD = "no-break\u202fspace, comma \u2028 line 'quote' #%"
IDS = ("a", "b.1", "c d", "ü")


class Photos:
    """A small, sound data set on disk, and the means to spoil it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("images", "masks", "splits"):
            (root / name).mkdir()
        rng = np.random.default_rng(0)
        for number, image_id in enumerate(IDS):
            self.image(f"{image_id}.png", rng.integers(0, 256, (8 + number, 10, 3), dtype=np.uint8))
            self.mask(image_id, rng.choice(np.array([0, 1, 2, 255], np.uint8), (8 + number, 10)))
        self.write("classes.txt", "cat\ndog\n")
        self.write("labels.csv", "image,labels\na,cat\nb.1,dog cat\nc d,dog\nü,cat\n")
        self.write("splits/train.txt", "a\n\nb.1\nc d\n")
        self.write("splits/val.txt", "ü\n")
        self.write("splits/scored.txt", "c d\na\n")

    def image(self, name: str, pixels: np.ndarray) -> None:
        Image.fromarray(pixels).save(self.root / "images" / name)

    def mask(self, image_id: str, mask: np.ndarray) -> None:
        write_mask(self.root / "masks" / f"{image_id}.png", mask)

    def write(self, name: str, text: str | bytes) -> None:
        (self.root / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def config(self, **changes: Any) -> Folder:
        settings = {
            "kind": "folder",
            "root": str(self.root),
            "masks": "masks",
            "splits": {"train": "splits/train.txt", "val": "splits/val.txt"},
            "scored": "splits/scored.txt",
        }
        return Folder.model_validate(settings | changes)

    def read(self, **changes: Any) -> Manifest:
        return prepare(self.config(**changes), self.root / "unused")

    def refusal(self, **changes: Any) -> list[str]:
        """Return the lines of the error without those that head a kind of problem."""
        with pytest.raises(DatasetError) as caught:
            self.read(**changes)
        head, *lines = str(caught.value).replace(f"{self.root}/", "").splitlines()
        assert head.startswith(f"data set {self.root}: ")
        return [line.strip() for line in lines if line.startswith("    ")]


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    return Photos(tmp_path)


def test_a_sound_folder(photos: Photos) -> None:
    manifest = photos.read()
    assert manifest.class_names == ("cat", "dog")
    assert [row.id for row in manifest] == sorted(IDS)
    assert {row.id: row.labels for row in manifest} == {"a": (0,), "b.1": (0, 1), "c d": (1,), "ü": (0,)}
    assert {row.id: row.split for row in manifest} == {
        "a": "train",
        "b.1": "train",
        "c d": "train",
        "ü": "val",
    }
    assert {row.id for row in manifest if row.scored} == {"a", "c d"}
    row = manifest.rows[1]
    assert (row.height, row.width) == (9, 10)
    assert row.image == photos.root / "images" / "b.1.png"
    assert row.mask == photos.root / "masks" / "b.1.png"
    assert row.digest == hashlib.blake2b(row.image.read_bytes(), digest_size=16).hexdigest()
    assert not (photos.root / "unused").exists()


def test_a_data_set_survives_its_manifest(photos: Photos) -> None:
    manifest = photos.read()
    manifest.write(photos.root / "manifest.tsv")
    assert Manifest.read(photos.root / "manifest.tsv") == manifest


def test_without_masks_only_the_scoring_changes(photos: Photos) -> None:
    bare = photos.read(masks=None, scored=None)
    assert bare == photos.read().without_masks()
    assert bare.rows == tuple(replace(row, mask=None, scored=False) for row in photos.read())


def test_without_a_list_every_training_image_with_a_mask_is_scored(photos: Photos) -> None:
    (photos.root / "masks" / "a.png").unlink()
    assert {row.id for row in photos.read(scored=None) if row.scored} == {"b.1", "c d"}


def test_names_may_carry_their_extension(photos: Photos) -> None:
    expected = photos.read()
    photos.write("labels.csv", "image,labels\na.png,cat\nb.1.png,dog cat\nc d,dog\nü.png,cat\n")
    photos.write("splits/train.txt", "a\nb.1.png\nc d.png\n")
    assert photos.read() == expected


def test_any_text_may_be_a_name(photos: Photos) -> None:
    photos.image(f"{AWKWARD}.png", np.zeros((8, 8, 3), np.uint8))
    photos.write("labels.csv", (photos.root / "labels.csv").read_text() + f'"{AWKWARD}",dog\n')
    photos.write("splits/val.txt", f"ü\n{AWKWARD}\n")
    assert [row.id for row in photos.read().split("val")] == [AWKWARD, "ü"]


def test_marks_and_line_ends_of_other_systems_do_not_matter(photos: Photos) -> None:
    expected = photos.read()
    for name in ("labels.csv", "classes.txt", "splits/train.txt"):
        text = (photos.root / name).read_text()
        photos.write(name, "\ufeff" + text.replace("\n", "\r\n"))
    assert photos.read() == expected


def test_images_outside_the_splits_are_left_out(photos: Photos) -> None:
    photos.write("splits/train.txt", "a\n")
    assert [row.id for row in photos.read(scored=None)] == ["a", "ü"]


def test_other_files_beside_the_images_do_not_matter(photos: Photos) -> None:
    expected = photos.read()
    for name in ("Thumbs.db", ".hidden.jpg", "readme.txt"):
        photos.write(f"images/{name}", b"no image")
    assert photos.read() == expected


def test_masks_fit_the_rotated_image(photos: Photos) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (10, 8)).save(photos.root / "images" / "a.png", exif=exif)
    photos.mask("a", np.ones((10, 8), np.uint8))
    assert (photos.read().rows[0].height, photos.read().rows[0].width) == (10, 8)
    photos.mask("a", np.ones((8, 10), np.uint8))
    assert (photos.read().rows[0].height, photos.read().rows[0].width) == (10, 8)
    photos.mask("a", np.ones((8, 11), np.uint8))
    assert photos.refusal() == ["masks/a.png: 11 x 8 pixels, but its image has 8 x 10"]


def test_every_image_is_decoded_once(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded, lock, decode = [], threading.Lock(), checks.decode_image

    def count(content: bytes, name: Path) -> np.ndarray:
        with lock:
            decoded.append(name.stem)
        return decode(content, name)

    monkeypatch.setattr(checks, "decode_image", count)
    photos.read()
    assert sorted(decoded) == sorted(IDS)


# --- without split files --------------------------------------------------------------------------


def test_a_share_is_held_out(photos: Photos) -> None:
    manifest = photos.read(splits=None, scored=None, holdout=0.5)
    assert len(manifest) == len(IDS)
    assert {row.id for row in manifest.split("val")} == held_out(IDS, 0.5)


@given(st.sets(st.text(min_size=1), min_size=1), st.text(min_size=1), st.floats(0.1, 0.9))
@settings(max_examples=50, deadline=None)
def test_a_new_image_moves_no_other(ids: set[str], new: str, share: float) -> None:
    before, after = held_out(ids, share), held_out(ids | {new}, share)
    if len(before) > 1:  # else it may be the one that is held out for want of others
        assert after - {new} == before - {new}
    assert before
    assert before <= ids


def test_the_share_is_kept() -> None:
    ids = [f"photo {number}" for number in range(2000)]
    assert 0.17 < len(held_out(ids, 0.2)) / len(ids) < 0.23
    assert held_out(ids[:3], 1e-9)


def test_one_image_cannot_be_split(photos: Photos) -> None:
    for image_id in IDS[1:]:
        (photos.root / "images" / f"{image_id}.png").unlink()
    photos.write("labels.csv", "image,labels\na,cat\n")
    assert photos.refusal(splits=None, scored=None) == ["labels.csv: holdout 0.1 leaves no image for train"]


# --- labels as people write them ---------------------------------------------------------------------


def test_images_of_none_of_the_classes(photos: Photos) -> None:
    photos.write("labels.csv", "image,labels\na,\nb.1,background\nc d,dog\nü,_background_\n")
    for image_id in ("a", "b.1", "ü"):
        photos.mask(image_id, np.zeros((8 + IDS.index(image_id), 10), np.uint8))
    photos.mask("c d", np.full((10, 10), 2, np.uint8))
    assert {row.id: row.labels for row in photos.read()} == {"a": (), "b.1": (), "c d": (1,), "ü": ()}


@pytest.mark.parametrize(
    "text",
    [
        "Filename;Class\na.jpg;cat\nb.1.jpg;dog,cat\nc d;dog\nu\u0308.JPG;cat\n;\n",
        "image,cat,dog\na,1,0\nb.1,1,1\nc d,0,1\nü,1,0\n",
        "name|label\na|cat\nb.1|cat\nb.1|dog\nc d|dog\nü|cat\n",
    ],
)
def test_layouts_of_the_table(photos: Photos, text: str) -> None:
    expected = photos.read()
    photos.write("labels.csv", text)
    assert photos.read() == expected


def test_names_of_classes_may_have_spaces(photos: Photos) -> None:
    photos.write("classes.txt", "stop sign\ndog\n")
    photos.write("labels.csv", "image,labels\na,stop sign\nb.1,dog stop sign\nc d,dog\nü,stop sign\n")
    assert [row.labels for row in photos.read()] == [(0,), (0, 1), (1,), (0,)]


@pytest.mark.parametrize("listed", [True, False])
def test_a_folder_per_class(photos: Photos, listed: bool) -> None:
    for name, image_id in (("dog", "c d"), ("cat", "a"), ("cat", "b.1"), ("background", "ü")):
        (photos.root / "images" / name).mkdir(exist_ok=True)
        path = photos.root / "images" / f"{image_id}.png"
        path.rename(path.parent / name / path.name)
    if listed:
        photos.write("classes.txt", "dog\ncat\nhorse\n")
    else:
        (photos.root / "classes.txt").unlink()
    manifest = photos.read(labels="folders", splits=None, scored=None, masks=None)
    assert manifest.class_names == (("dog", "cat", "horse") if listed else ("cat", "dog"))
    named = {row.id: [manifest.class_names[label] for label in row.labels] for row in manifest}
    assert named == {"background__ü": [], "cat__a": ["cat"], "cat__b.1": ["cat"], "dog__c d": ["dog"]}


def test_sub_folders_of_images_and_masks(photos: Photos) -> None:
    for folder in ("images", "masks"):
        (photos.root / folder / "trip").mkdir()
        (photos.root / folder / "a.png").rename(photos.root / folder / "trip" / "a.png")
    rows = {row.id: row for row in photos.read()}
    assert rows["trip__a"].mask == photos.root / "masks" / "trip" / "a.png"
    assert rows["trip__a"].scored
    photos.write("labels.csv", "image,labels\ntrip/a.jpg,cat\nb.1,dog cat\nc d,dog\nü,cat\n")
    assert rows == {row.id: row for row in photos.read()}


def test_masks_below_the_images_are_no_images(photos: Photos) -> None:
    (photos.root / "masks").rename(photos.root / "images" / "masks")
    assert [row.id for row in photos.read(masks="images/masks")] == sorted(IDS)


# --- refusals -------------------------------------------------------------------------------------


def spoil_missing_image(photos: Photos) -> list[str]:
    (photos.root / "images" / "b.1.png").unlink()
    return ["labels.csv:3: there is no image 'b.1'"]


def spoil_truncated_image(photos: Photos) -> list[str]:
    path = photos.root / "images" / "a.png"
    path.write_bytes(path.read_bytes()[:-40])
    return ["images/a.png: "]


def spoil_foreign_image(photos: Photos) -> list[str]:
    photos.write("images/a.png", "a web page")
    return ["images/a.png: not an image, or an unknown format"]


def spoil_tiny_image(photos: Photos) -> list[str]:
    photos.image("a.png", np.zeros((1, 1, 3), np.uint8))
    return ["images/a.png: 1 x 1 pixels, expected at least 8 on each side"]


def spoil_image_that_is_a_folder(photos: Photos) -> list[str]:
    (photos.root / "images" / "a.png").unlink()
    (photos.root / "images" / "a.png").mkdir()
    return ["labels.csv:2: there is no image 'a'"]


def spoil_unknown_class(photos: Photos) -> list[str]:
    photos.write("labels.csv", "image,labels\na,cta\nb.1,dog unicorn\nc d,dog\nü,cat\n")
    return [
        "labels.csv:2: 'cta', did you mean 'cat'?",
        "labels.csv:3: 'unicorn', expected one of cat, dog",
    ]


def spoil_image_without_line(photos: Photos) -> list[str]:
    photos.image("stray.png", np.zeros((8, 8, 3), np.uint8))
    return ["images/stray.png: has no line in labels.csv"]


def spoil_two_files_of_one_id(photos: Photos) -> list[str]:
    photos.image("a.jpg", np.zeros((8, 10, 3), np.uint8))
    return ["images/a.png: has the same id as images/a.jpg"]


def spoil_duplicate_in_a_split(photos: Photos) -> list[str]:
    photos.write("splits/train.txt", "a\nb.1\nc d\na\n")
    return ["splits/train.txt:4: 'a' is already listed at splits/train.txt:1"]


def spoil_mask_size(photos: Photos) -> list[str]:
    photos.mask("a", np.zeros((9, 10), np.uint8))
    return ["masks/a.png: 10 x 9 pixels, but its image has 10 x 8"]


def spoil_mask_values(photos: Photos) -> list[str]:
    photos.mask("a", np.tile(np.array([0, 2, 3, 200, 255], np.uint8), (8, 2)))
    return ["masks/a.png: values [3, 200], expected 0 … 2 and 255"]


def spoil_mask_colours(photos: Photos) -> list[str]:
    Image.new("RGB", (10, 8), (128, 0, 0)).save(photos.root / "masks" / "a.png")
    return ["masks/a.png: holds colours, such as [128, 0, 0], expected a palette or grey image"]


def spoil_mask_file(photos: Photos) -> list[str]:
    photos.write("masks/a.png", b"\x89PNG\r\n\x1a\n")
    return ["masks/a.png: "]


def spoil_all_masks(photos: Photos) -> list[str]:
    for path in (photos.root / "masks").iterdir():
        path.rename(path.with_name(f"mask_{path.name}"))
    return [
        "masks: no <id>.png has the id of an image, e.g. mask_a.png, while the images are called e.g. 'a'; "
    ]


def spoil_mask_folder(photos: Photos) -> list[str]:
    (photos.root / "masks").rename(photos.root / "elsewhere")
    return ["masks: No such file or directory"]


def spoil_empty_split(photos: Photos) -> list[str]:
    photos.write("splits/val.txt", "\n \n")
    return ["splits/val.txt: the file is empty"]


def spoil_overlapping_splits(photos: Photos) -> list[str]:
    photos.write("splits/val.txt", "ü\nb.1.png\n")
    return ["splits/train.txt:3 and splits/val.txt:2: 'b.1'"]


def spoil_split_without_label(photos: Photos) -> list[str]:
    photos.write("splits/val.txt", "ü\nnobody\n")
    return ["splits/val.txt:2: there is no image 'nobody'"]


def spoil_scored_in_val(photos: Photos) -> list[str]:
    photos.write("splits/scored.txt", "a\nü\n")
    return ["splits/scored.txt:2: 'ü'"]


def spoil_scored_without_mask(photos: Photos) -> list[str]:
    (photos.root / "masks" / "c d.png").unlink()
    return ["splits/scored.txt:1: 'c d' has no mask in masks"]


def spoil_swapped_columns(photos: Photos) -> list[str]:
    photos.write("labels.csv", "image,labels\ncat,a\ndog cat,b.1\ndog,c d\ncat,ü\n")
    return ["labels.csv:1: the column 'image' holds classes and 'labels' the images: swap the two names"]


def spoil_labels_that_cannot_be_read(photos: Photos) -> list[str]:
    photos.write("labels.csv", b"image,labels\na,c\xe4t\n")
    return ["labels.csv:2: byte 0xe4 is not UTF-8, save the file as UTF-8"]


def spoil_one_class_misspelt_often(photos: Photos) -> list[str]:
    photos.write("labels.csv", "image,labels\na,cta\nb.1,dog cta\nc d,dog\nü,cta\n")
    return ["labels.csv:2: 'cta', did you mean 'cat'? (and 2 more)"]


def spoil_encoding(photos: Photos) -> list[str]:
    photos.write("splits/val.txt", "ü\nb.1\n".encode("latin-1"))
    return ["splits/val.txt:1: byte 0xfc is not UTF-8"]


def spoil_header(photos: Photos) -> list[str]:
    photos.write("labels.csv", "width,height,owner\n1,2,me\n")
    return ["labels.csv:1: found 'width,height,owner', expected a column of image names and one of labels"]


def spoil_labels_without_lines(photos: Photos) -> list[str]:
    photos.write("labels.csv", "image,labels\n")
    return ["labels.csv: there is no line below the header"]


def spoil_empty_image_folder(photos: Photos) -> list[str]:
    for path in (photos.root / "images").iterdir():
        path.unlink()
    return ["images: there is no image"]


def spoil_missing_labels(photos: Photos) -> list[str]:
    (photos.root / "labels.csv").unlink()
    return ["labels.csv: No such file or directory"]


def spoil_missing_classes(photos: Photos) -> list[str]:
    (photos.root / "classes.txt").unlink()
    return ["classes.txt: No such file or directory"]


def spoil_missing_images(photos: Photos) -> list[str]:
    (photos.root / "images").rename(photos.root / "photos")
    return ["images: No such file or directory"]


def spoil_empty_classes(photos: Photos) -> list[str]:
    photos.write("classes.txt", "\n")
    return ["classes.txt: the file is empty"]


def spoil_class_names(photos: Photos) -> list[str]:
    photos.write("classes.txt", "Background\ncat\ndog\nhot,dog\ncat\n__ignore__\n")
    return [
        "classes.txt:1: remove 'Background': it is always mask value 0",
        "classes.txt:4: 'hot,dog' contains ',', which separates labels",
        "classes.txt:5: 'cat' is already listed at classes.txt:2",
        "classes.txt:6: remove '__ignore__': it is always mask value 255",
    ]


def spoil_number_of_classes(photos: Photos) -> list[str]:
    photos.write("classes.txt", "cat\ndog\n" + "\n".join(f"class{number}" for number in range(253)))
    return ["classes.txt: 255 classes, expected at most 254"]


SPOILERS = [value for name, value in globals().items() if name.startswith("spoil_")]


@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.__name__.removeprefix("spoil_"))
def test_bad_data_is_refused_by_file_and_line(photos: Photos, spoil: Any) -> None:
    expected = spoil(photos)
    found = photos.refusal()
    assert len(found) == len(expected), found
    for line, beginning in zip(found, expected, strict=True):
        assert line.startswith(beginning)


@pytest.mark.parametrize(
    "spoil",
    [spoil_labels_that_cannot_be_read, spoil_missing_labels, spoil_missing_classes, spoil_swapped_columns],
)
def test_a_file_that_cannot_be_read_says_nothing_of_splits(photos: Photos, spoil: Any) -> None:
    (expected,) = spoil(photos)
    (line,) = photos.refusal(splits=None, scored=None)
    assert line.startswith(expected)


def test_all_problems_come_in_one_message(photos: Photos) -> None:
    together = [
        spoil_unknown_class,
        spoil_truncated_image,
        spoil_image_without_line,
        spoil_overlapping_splits,
        spoil_scored_without_mask,
        spoil_mask_values,
    ]
    expected = [line for spoil in together for line in spoil(photos)]
    # the mask of the truncated image cannot be compared with it, and is not
    expected.remove("masks/a.png: values [3, 200], expected 0 … 2 and 255")
    found = photos.refusal()
    assert len(found) == len(expected)
    assert all(any(line.startswith(beginning) for line in found) for beginning in expected)
    with pytest.raises(DatasetError, match=rf": {len(expected)} problems\n"):
        photos.read()


def test_long_lists_are_cut_and_say_so(photos: Photos) -> None:
    lines = "".join(f"gone{number},cat\n" for number in range(30))
    photos.write("labels.csv", (photos.root / "labels.csv").read_text() + lines)
    with pytest.raises(DatasetError) as caught:
        photos.read()
    message = str(caught.value)
    assert "30 problems" in message
    assert "label without image (30):" in message
    assert message.count("there is no image") == 20
    assert message.endswith("… and 10 more")


def test_files_with_one_fault_are_one_line(photos: Photos) -> None:
    for number in range(4):
        photos.image(f"x{number}.png", np.full((8, 10, 3), number, np.uint8))
    (line,) = photos.refusal()
    assert line == (
        "images/x0.png: has no line in labels.csv; none of the classes: a line with an empty label; likewise "
        "x1.png, x2.png, x3.png"
    )


def test_a_root_that_is_not_there_is_one_sentence(photos: Photos, tmp_path: Path) -> None:
    for root, said in (
        ("nowhere", f"there is no such folder; paths are relative to {Path.cwd()}"),
        ("$HOME/photos", "shell variables are not filled in, only ~"),
        (str(tmp_path / "classes.txt"), "is no folder, expected the one that holds images and labels"),
    ):
        with pytest.raises(DatasetError) as caught:
            photos.read(root=root)
        assert str(caught.value).startswith(f"data set {root}: ")
        assert said in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


def test_masks_of_no_image_are_mentioned(photos: Photos, caplog: pytest.LogCaptureFixture) -> None:
    photos.mask("zebra", np.zeros((8, 10), np.uint8))
    photos.read()
    assert "masks: 1 files belong to no image, e.g. zebra.png" in caplog.text


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((20, 16), "height and width are swapped, turn it or transpose it"),
        ((8, 10), "resize it, with nearest neighbour and no smoothing"),
        ((16, 19), "resize it, with nearest neighbour and no smoothing"),
    ],
)
def test_another_size_of_a_mask_says_what_helps(photos: Photos, shape: tuple[int, int], hint: str) -> None:
    Image.fromarray(np.zeros(shape, np.uint8)).save(photos.root / "masks" / "a.png")
    photos.image("a.png", np.zeros((16, 20, 3), np.uint8))
    (line,) = photos.refusal()
    assert line.endswith(hint)


def test_where_many_masks_cannot_be_read_the_others_are_not_compared(photos: Photos) -> None:
    for image_id in ("a", "b.1", "c d"):
        photos.write(f"masks/{image_id}.png", "nothing")
    assert all("not an image" in line for line in photos.refusal())


def test_transparent_masks_say_what_helps(photos: Photos) -> None:
    Image.fromarray(np.zeros((8, 10, 4), np.uint8)).save(photos.root / "masks" / "a.png")
    (line,) = photos.refusal()
    assert line.startswith("masks/a.png: has transparent pixels, which may be background or void: fill them")


@pytest.mark.parametrize("name", ["line\nbreak.png", "line\rbreak.png", "bell\a.png"])
def test_names_that_no_list_can_hold_are_refused(photos: Photos, name: str) -> None:
    photos.image(name, np.zeros((8, 8, 3), np.uint8))
    assert f"images: {name!r} has control or undecodable characters" in photos.refusal()


def test_names_that_are_no_text_can_be_printed(photos: Photos) -> None:
    name = b"photo\xff.png".decode(errors="surrogateescape")
    try:
        photos.image(name, np.zeros((8, 8, 3), np.uint8))
    except OSError:
        pytest.skip("this file system takes only names that are text")
    lines = photos.refusal()
    assert r"images: 'photo\udcff.png' has control or undecodable characters" in lines
    assert any(line.startswith(r"images/photo\udcff.png: has no line in labels.csv") for line in lines)


def test_a_class_that_no_training_image_shows_is_mentioned(
    photos: Photos, caplog: pytest.LogCaptureFixture
) -> None:
    photos.write("classes.txt", "cat\ndog\nhorse\n")
    photos.read()
    assert "no training image has the label: horse" in caplog.text
