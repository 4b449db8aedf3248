"""Photographs and masks from every kind of file."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from wsss.data import images as images_module
from wsss.data import read_image, read_mask, write_mask
from wsss.data.images import voc_palette

ORIENTATION = 0x0112
# EXIF orientation → how a camera stores the pixels of an upright picture
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "webp", "ppm"])
def test_lossless_files_are_read_exactly(tmp_path: Path, picture: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(picture).save(path, **({"lossless": True} if suffix == "webp" else {}))
    read = read_image(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, picture)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("mode", ["RGB", "I;16"])
def test_exif_rotation_is_applied(tmp_path: Path, picture: np.ndarray, orientation: int, mode: str) -> None:
    upright = picture if mode == "RGB" else picture[..., 0].astype(np.uint16) * 257
    stored = np.ascontiguousarray(STORED[orientation](upright))
    Image.fromarray(stored).save(tmp_path / "a.png", exif=oriented(orientation))
    expected = picture if mode == "RGB" else np.repeat(picture[..., :1], 3, axis=2)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


def test_exif_rotation_of_a_jpeg(tmp_path: Path) -> None:
    bright_top = np.zeros((16, 24), dtype=np.uint8)
    bright_top[:8] = 255
    Image.fromarray(np.rot90(bright_top, 1)).save(tmp_path / "a.jpg", exif=oriented(6))
    read = read_image(tmp_path / "a.jpg")
    assert read.shape == (16, 24, 3)
    assert read[:6].min() > 200
    assert read[10:].max() < 50


def test_faulty_exif_does_not_hide_the_orientation(tmp_path: Path, picture: np.ndarray) -> None:
    entries = [struct.pack("<HHII", ORIENTATION, 3, 1, 3), struct.pack("<HHII", 0x0128, 4, 1, 2**32 - 1)]
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    Image.fromarray(picture[::-1, ::-1]).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), picture)


def test_grey_becomes_three_equal_channels(tmp_path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture[..., 0]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.repeat(picture[..., :1], 3, axis=2))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_full_range(tmp_path: Path, suffix: str) -> None:
    deep = np.tile(np.array([0, 128, 129, 257, 32768, 65278, 65535, 40000], dtype=np.uint16), (8, 1))
    Image.fromarray(deep).save(tmp_path / f"a.{suffix}")
    expected = np.round(deep / 257).astype(np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}")[..., 1], expected)


def test_grey_beyond_sixteen_bits_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 70_000, dtype=np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif: grey values from 70000 to 70000"):
        read_image(tmp_path / "a.tif")


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    rgba = np.zeros((8, 8, 4), dtype=np.uint8)
    rgba[:4] = (200, 100, 0, 255)
    rgba[4:] = (200, 100, 0, 0)
    rgba[0] = (0, 0, 0, 128)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read[2, 0], [200, 100, 0])
    np.testing.assert_array_equal(read[6, 0], [255, 255, 255])
    np.testing.assert_allclose(read[0, 0], [127, 127, 127], atol=1)


def test_transparent_palette_colour_lies_on_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.repeat(np.arange(2, dtype=np.uint8)[:, None], 8, axis=1).repeat(4, axis=0))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png", transparency=1)
    read = read_image(tmp_path / "a.png")
    np.testing.assert_array_equal(read[0, 0], [10, 20, 30])
    np.testing.assert_array_equal(read[7, 0], [255, 255, 255])


def test_grey_with_alpha_lies_on_white(tmp_path: Path) -> None:
    la = np.full((8, 8, 2), 255, dtype=np.uint8)
    la[..., 0] = 40
    la[4:, :, 1] = 0
    Image.fromarray(la, mode="LA").save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read[0, 0].tolist() == [40] * 3
    assert read[7, 7].tolist() == [255] * 3


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_cmyk_inks_become_colours(tmp_path: Path, suffix: str) -> None:
    inks = np.zeros((16, 16, 4), dtype=np.uint8)
    inks[:8] = (255, 0, 0, 0)  # cyan
    inks[8:] = (0, 0, 0, 255)  # black
    Image.fromarray(inks, mode="CMYK").save(tmp_path / f"a.{suffix}")
    read = read_image(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(read[2, 2], [0, 255, 255], atol=12)
    np.testing.assert_allclose(read[13, 2], [0, 0, 0], atol=12)


def test_bilevel_images_are_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(np.eye(8, dtype=bool)).save(tmp_path / "a.png")
    assert np.unique(read_image(tmp_path / "a.png")).tolist() == [0, 255]


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("share", [0.6, 0.1])
def test_truncated_files_are_refused_by_name(
    tmp_path: Path, picture: np.ndarray, suffix: str, share: float
) -> None:
    buffer = BytesIO()
    Image.fromarray(picture.repeat(8, axis=0).repeat(8, axis=1)).save(
        buffer, format={"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix)
    )
    whole = buffer.getvalue()
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=rf"a\.{suffix}: "):
        read_image(path)


@pytest.mark.parametrize(
    ("content", "reason"), [(b"", "the file is empty"), (b"<html>not found</html>", "not an image")]
)
def test_files_that_are_no_images_are_refused_by_name(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.jpg: {reason}"):
        read_image(tmp_path / "a.jpg")


def test_a_flipped_byte_in_a_png_is_refused(tmp_path: Path, picture: np.ndarray) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.png: "):
        read_image(path)


def test_missing_files_keep_their_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        read_image(tmp_path / "missing.jpg")


def test_bombs_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (9000, 8000)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"bomb\.png: 9000 x 8000 pixels, expected at most 50,000,000"):
        read_image(tmp_path / "bomb.png")


def test_bombs_beyond_pillows_own_limit_are_named_too(tmp_path: Path) -> None:
    header = b"P6\n100000 100000\n255\n"
    (tmp_path / "bomb.ppm").write_bytes(header)
    with pytest.raises(ValueError, match=r"bomb\.ppm: .*(bomb|at most)"):
        read_image(tmp_path / "bomb.ppm")


def test_images_too_small_for_a_cell_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (7, 100)).save(tmp_path / "strip.png")
    with pytest.raises(ValueError, match=r"strip\.png: 7 x 100 pixels, expected at least 8 on each side"):
        read_image(tmp_path / "strip.png")


def test_the_palette_is_vocs() -> None:
    palette = voc_palette()
    assert palette.shape == (256, 3)
    assert palette[[0, 1, 2, 3, 8, 15, 20, 255]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [64, 0, 0],
        [192, 128, 128],
        [0, 64, 128],
        [224, 224, 192],
    ]
    assert len({tuple(colour) for colour in palette.tolist()}) == 256


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, min_side=8, max_side=24)))
@settings(max_examples=15, deadline=None)
def test_masks_survive_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, mask: np.ndarray
) -> None:
    path = tmp_path_factory.mktemp("masks") / "a b#ü.png"
    write_mask(path, mask)
    np.testing.assert_array_equal(read_mask(path), mask)
    assert Image.open(path).mode == "P"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@given(st.integers(1, 15), st.sampled_from(["P", "L"]))
@settings(max_examples=15, deadline=None)
def test_masks_may_be_palette_or_grey(
    tmp_path_factory: pytest.TempPathFactory, largest: int, mode: str
) -> None:
    mask = (np.arange(80, dtype=np.uint8) % (largest + 1)).reshape(8, 10)
    image = Image.fromarray(mask)
    if mode == "P":
        image.putpalette([0, 0, 0] * 2 + list(range(3 * largest)))
    path = tmp_path_factory.mktemp("masks") / "a.png"
    image.save(path)  # Pillow stores a small palette with fewer bits per pixel
    np.testing.assert_array_equal(read_mask(path), mask)


def test_masks_of_sixteen_bits_are_read_by_value(tmp_path: Path) -> None:
    mask = np.tile(np.array([0, 1, 2, 255], dtype=np.uint16), (8, 2))
    Image.fromarray(mask).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), mask)
    Image.fromarray(mask * 257).save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"b\.png: has the value 65535"):
        read_mask(tmp_path / "b.png")


def test_masks_in_colours_are_refused(tmp_path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png")
    with pytest.raises(
        ValueError, match=r"a\.png: holds colours, such as .*, expected a palette or grey image"
    ):
        read_mask(tmp_path / "a.png")


@pytest.mark.parametrize(
    "mask", [np.zeros((8, 8)), np.zeros((8, 8, 3), np.uint8), np.zeros((0, 8), np.uint8)]
)
def test_only_masks_are_written(tmp_path: Path, mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"a\.png: got a mask of shape"):
        write_mask(tmp_path / "a.png", mask)
    assert not any(tmp_path.iterdir())


def test_an_interrupted_write_leaves_the_old_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    old = np.ones((8, 8), np.uint8)
    write_mask(path, old)

    def break_down(mask: np.ndarray) -> Image.Image:
        raise KeyboardInterrupt

    monkeypatch.setattr(images_module, "palette_image", break_down)
    with pytest.raises(KeyboardInterrupt):
        write_mask(path, old + 1)
    np.testing.assert_array_equal(read_mask(path), old)
    assert list(tmp_path.iterdir()) == [path]
