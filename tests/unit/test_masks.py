"""True masks in colours, with other values, and beside photographs that are turned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsss.data import DatasetError, Manifest, read_mask, write_mask
from wsss.data.images import palette_image, voc_palette
from wsss.data.masks import mask_reader, read_palette
from wsss.data.problems import Problems
from wsss.stages.dataset import prepare
from wsss.study.config import Folder

CLASSES = ("cat", "stop sign")
VALUES = {"a": [1], "b": [2], "c": [1, 2], "d": [], "e": [1]}
LABELS = "image,labels\na,cat\nb,stop sign\nc,cat;stop sign\nd,\ne,cat\n"


def mask_of(values: list[int], shape: tuple[int, int] = (12, 20)) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    for place, value in enumerate(values):
        mask[2:8, 2 + 8 * place : 8 + 8 * place] = value
    mask[10, 3] = 255
    return mask


class Data:
    """Five photographs with masks: cat, stop sign, both, none, cat."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("images", "masks"):
            (root / name).mkdir()
        rng = np.random.default_rng(0)
        self.masks = {image_id: mask_of(values) for image_id, values in VALUES.items()}
        for image_id, mask in self.masks.items():
            photograph = rng.integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
            Image.fromarray(photograph).save(root / "images" / f"{image_id}.png")
            write_mask(root / "masks" / f"{image_id}.png", mask)
        (root / "classes.txt").write_text("\n".join(CLASSES))
        (root / "labels.csv").write_text(LABELS)

    def save(self, image_id: str, image: Image.Image | np.ndarray, **options: Any) -> None:
        """Replace a mask."""
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(self.root / "masks" / f"{image_id}.png", **options)

    def read(self, **changes: Any) -> Manifest:
        config = {"kind": "folder", "root": str(self.root), "masks": "masks", "holdout": 0.3}
        return prepare(Folder.model_validate(config | changes), self.root / "generated")

    def refusal(self, **changes: Any) -> list[str]:
        with pytest.raises(DatasetError) as caught:
            self.read(**changes)
        lines = str(caught.value).replace(f"{self.root}/", "").splitlines()
        return [line.strip() for line in lines if line.startswith("    ")]


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path)


def assert_masks(data: Data, manifest: Manifest) -> None:
    for row in manifest:
        assert row.mask is not None
        np.testing.assert_array_equal(read_mask(row.mask), data.masks[row.id])


def test_masks_that_need_nothing_are_taken_as_they_are(data: Data) -> None:
    manifest = data.read()
    assert_masks(data, manifest)
    assert all(row.mask.parent == data.root / "masks" for row in manifest if row.mask)
    assert not (data.root / "generated").exists()


# By colour


def test_colours_of_voc(data: Data) -> None:
    for image_id, mask in data.masks.items():
        data.save(image_id, palette_image(mask).convert("RGB"))
    (line, *_) = data.refusal()
    assert line.startswith("masks/a.png: holds colours, such as [128, 0, 0], expected")
    assert_masks(data, data.read(palette="voc"))


PALETTES = {
    "CVAT": "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:250,50,83::\nstop sign:0,1,2::\n"
    "void:9,9,9::\n",
    "CamVid": "0 0 0\tbackground\n250 50 83\tcat\n0 1 2\tstop sign\n9 9 9\tvoid\n",
    "table": 'name,r,g,b\n"background",0,0,0\n"cat",250,50,83\n"stop sign",0,1,2\n"Void",9,9,9\n',
    "web": "background #000000\ncat: #FA3253\nstop sign = #000102\n__ignore__ #090909\n",
}


@pytest.mark.parametrize("form", PALETTES)
def test_a_file_of_colours(data: Data, form: str) -> None:
    (data.root / "colours.txt").write_text(PALETTES[form])
    colours = np.zeros((256, 3), np.uint8)
    colours[[1, 2, 255]] = [(250, 50, 83), (0, 1, 2), (9, 9, 9)]
    for image_id, mask in data.masks.items():
        data.save(image_id, colours[mask])
    assert_masks(data, data.read(palette="colours.txt"))


def test_colours_count_where_palettes_have_other_orders(data: Data) -> None:
    for number, (image_id, mask) in enumerate(data.masks.items()):
        order = np.random.default_rng(number).permutation(256)
        image = Image.fromarray(np.argsort(order).astype(np.uint8)[mask])
        image.putpalette(voc_palette()[order].tobytes())
        data.save(image_id, image)
    assert_masks(data, data.read(palette="voc"))


def test_a_colour_without_a_name_is_told_with_its_pixels(data: Data) -> None:
    colours = np.asarray(palette_image(data.masks["a"]).convert("RGB")).copy()
    colours[0, :3] = (1, 2, 3)
    for image_id, mask in data.masks.items():
        data.save(image_id, palette_image(mask).convert("RGB"))
    data.save("a", colours)
    assert data.refusal(palette="voc") == [
        "masks/a.png: holds [1, 2, 3] (3 pixels), which the palette does not name"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "cat 1 2 3\ndog 4 5 6\n",
            "unknown class: colours.txt:2: 'dog', expected a class, `background` or `void`",
        ),
        (
            "cat 1 2 3\nstop sgn 4 5 6\n",
            "unknown class: colours.txt:2: 'stop sgn', did you mean 'stop sign'?",
        ),
        ("cat 1 2 3\nbackground 1 2 3\n", "bad palette: colours.txt:2: [1, 2, 3] is already 'cat'"),
        ("cat 1 2 3\nbackground 1 2\n", "bad palette: colours.txt:2: 'background 1 2' has no colour, as in"),
        ("cat 1 2 3\nbackground 1 2 999\n", "bad palette: colours.txt:2: 'background 1 2 999' has no colour"),
        ("", "bad palette: colours.txt: the file is empty"),
    ],
)
def test_bad_palettes(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "colours.txt").write_text(text)
    problems = Problems()
    read_palette(tmp_path / "colours.txt", CLASSES, problems)
    (line,) = problems.lines()
    assert line.replace(f"{tmp_path}/", "").startswith(expected)


# By other values


def test_other_values(data: Data) -> None:
    meaning = {0: "void", 50: "background", 300: "cat", 7: "stop sign"}
    values = np.zeros(256, np.int32)
    values[[0, 1, 2, 255]] = (50, 300, 7, 0)
    for image_id, mask in data.masks.items():
        data.save(image_id, values[mask].astype(np.uint16))
    manifest = data.read(mask_values=meaning)
    assert_masks(data, manifest)
    del meaning[7]
    assert data.refusal(mask_values=meaning)[0] == (
        "masks/b.png: holds 7 (36 pixels), which `mask_values` does not name"
    )


def test_values_of_unknown_classes_are_told(tmp_path: Path) -> None:
    problems = Problems()
    mask_reader(None, {0: "background", 1: "cta"}, tmp_path, CLASSES, problems)
    assert problems.lines() == ["unknown class: `mask_values`: 1: 'cta', did you mean 'cat'?"]


def test_converted_masks_are_written_again_only_if_they_change(data: Data) -> None:
    meaning = {0: "background", 1: "cat", 2: "stop sign", 255: "void"}
    times = {row.id: row.mask.stat().st_mtime_ns for row in data.read(mask_values=meaning) if row.mask}
    write_mask(data.root / "masks" / "a.png", mask_of([1, 1]))
    again = {row.id: row.mask.stat().st_mtime_ns for row in data.read(mask_values=meaning) if row.mask}
    assert {image_id for image_id in times if times[image_id] != again[image_id]} == {"a"}
    (data.root / "masks" / "e.png").unlink()
    assert {row.id for row in data.read(mask_values=meaning) if row.mask} == set("abcd")
    assert not (data.root / "generated" / "converted" / "e.png").exists()


# Turned photographs


def turn(data: Data, image_id: str, orientation: int) -> None:
    """Store a photograph as a camera does that was held otherwise; the mask stays as it is."""
    path = data.root / "images" / f"{image_id}.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(path).save(path, exif=exif)


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [(6, lambda mask: np.rot90(mask, -1)), (8, lambda mask: np.rot90(mask, 1)), (5, lambda mask: mask.T)],
)
def test_masks_are_turned_like_their_photographs(
    data: Data, orientation: int, upright: Any, caplog: pytest.LogCaptureFixture
) -> None:
    turn(data, "c", orientation)
    (row,) = (row for row in data.read() if row.id == "c")
    assert row.mask is not None
    assert (row.height, row.width) == (20, 12)
    np.testing.assert_array_equal(read_mask(row.mask), upright(data.masks["c"]))
    assert "turned 1 masks as the EXIF orientation turns their photographs, e.g. c" in caplog.text


def test_the_sizes_of_some_tell_how_all_masks_lie(data: Data) -> None:
    turn(data, "c", 6)
    turn(data, "a", 3)
    masks = {row.id: read_mask(row.mask) for row in data.read() if row.mask}
    np.testing.assert_array_equal(masks["a"], data.masks["a"][::-1, ::-1])
    data.save("c", np.ascontiguousarray(np.rot90(data.masks["c"], -1)))  # now the masks are upright
    masks = {row.id: read_mask(row.mask) for row in data.read() if row.mask}
    np.testing.assert_array_equal(masks["a"], data.masks["a"])


def test_where_sizes_tell_nothing_there_is_a_warning(data: Data, caplog: pytest.LogCaptureFixture) -> None:
    turn(data, "a", 3)
    assert_masks(data, data.read())
    assert "1 photographs with a mask are turned by their EXIF orientation, e.g. a" in caplog.text


# Names and files of masks


@pytest.mark.parametrize("suffix", [".tif", ".bmp", ".TIFF"])
def test_masks_may_have_other_formats_that_keep_values(data: Data, suffix: str) -> None:
    for path in list((data.root / "masks").iterdir()):
        Image.open(path).save(path.with_suffix(suffix))
        path.unlink()
    assert_masks(data, data.read())


def test_the_colours_of_gifs_count_which_have_palettes_of_their_own(data: Data) -> None:
    for path in list((data.root / "masks").iterdir()):
        Image.open(path).save(path.with_suffix(".gif"))
        path.unlink()
    (line,) = data.refusal()
    assert line.startswith(
        "masks: the palettes of the masks differ: the value 1 has the colours [0, 128, 0] and"
    )
    assert_masks(data, data.read(palette="voc"))


def test_jpeg_masks_are_refused(data: Data) -> None:
    path = data.root / "masks" / "a.png"
    Image.open(path).convert("L").save(path.with_suffix(".jpg"))
    path.unlink()
    assert data.refusal() == ["masks/a.jpg: JPEG blurs the values of masks, expected PNG"]


def test_braces_in_names_do_not_reach_snakemake(data: Data) -> None:
    for folder in ("images", "masks"):
        (data.root / folder / "a.png").rename(data.root / folder / "a{b}.png")
    (data.root / "labels.csv").write_text(LABELS.replace("a,cat", "a{b},cat", 1))
    rows = {row.id: row for row in data.read()}
    assert rows["a{b}"].mask == data.root / "generated" / "converted" / "a%7Bb%7D.png"
    np.testing.assert_array_equal(read_mask(rows["a{b}"].mask), data.masks["a"])


def test_links_to_nothing_and_devices_are_one_line_each(data: Data) -> None:
    for name in ("images/b.png", "masks/c.png"):
        (data.root / name).unlink()
        (data.root / name).symlink_to("/nowhere/x.png")
    (data.root / "masks" / "a.png").unlink()
    (data.root / "masks" / "a.png").symlink_to("/dev/zero")
    assert data.refusal() == [
        "images/b.png: a link to /nowhere/x.png, which is not there",
        "masks/a.png: a device, pipe or socket, expected a regular file",
        "masks/c.png: a link to /nowhere/x.png, which is not there",
    ]


@pytest.mark.parametrize("void", ["ae", "abcde"])
def test_nothing_is_scored_on_masks_that_are_void_everywhere(
    data: Data, void: str, caplog: pytest.LogCaptureFixture
) -> None:
    (data.root / "scored.txt").write_text("a\nb\n")
    (data.root / "train.txt").write_text("a\nb\nc\n")
    (data.root / "val.txt").write_text("d\ne\n")
    for image_id in void:
        write_mask(data.root / "masks" / f"{image_id}.png", np.full((12, 20), 255, np.uint8))
    manifest = data.read(splits={"train": "train.txt", "val": "val.txt"}, scored="scored.txt")
    assert {row.id for row in manifest if row.mask} == set("abcde") - set(void)
    assert {row.id for row in manifest if row.scored} == {"b"} - set(void)
    assert f"every pixel of {len(void)} of 5 masks is 255, void: nothing is scored on" in caplog.text
