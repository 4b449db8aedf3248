"""Photographs and masks from every kind of file."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

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
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"<html>not found</html>", "a web page, expected an image: its download has failed"),
        (b"version https://git-lfs.github.com/spec/v1", "Git has left a pointer here"),
        (b"hello", "not an image"),
    ],
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


# Deep, light and other pixels


def png(pixels: np.ndarray, bits: int, colour_type: int = 0) -> bytes:
    """A PNG with any number of bits: Pillow writes no colours of 16, and no grey of 2 or 4."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape[:2]
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in pixels]
    else:
        planes = (pixels[..., None] >> np.arange(bits)[::-1]) & 1
        rows = [np.packbits(row.reshape(-1)).tobytes() for row in planes]
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bit_files_have_the_range_that_they_use(tmp_path: Path, bits: int, channels: int) -> None:
    white = 2**bits - 1
    deep = np.random.default_rng(0).integers(0, white + 1, (8, 9, channels)).astype(np.uint16)
    deep[0, 0] = white
    deep[..., 3:] = 65535
    expected = np.broadcast_to(np.round(deep[..., : min(channels, 3)].astype(float) * 255 / white), (8, 9, 3))
    (tmp_path / "a.png").write_bytes(png(deep, 16, {1: 0, 3: 2, 4: 6}[channels]))
    # Pillow itself cuts the last bits of colours that use all sixteen
    np.testing.assert_allclose(
        read_image(tmp_path / "a.png"), expected, atol=0 if bits < 16 or channels == 1 else 1
    )


def test_dark_colours_in_a_tiff_of_sixteen_bits_are_refused(tmp_path: Path) -> None:
    deep = np.full((8, 9, 3), 4095, np.uint16)
    tags = [
        (256, 3, 9),
        (257, 3, 8),
        (258, 3, 0),
        (259, 3, 1),
        (262, 3, 2),
        (273, 4, 0),
        (277, 3, 3),
        (278, 3, 8),
    ]
    start = 8 + 2 + 12 * (len(tags) + 1) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, kind, 3 if tag == 258 else 1, {258: start, 273: start + 6}.get(tag, value))
        for tag, kind, value in [*tags, (279, 4, deep.nbytes)]
    )
    head = b"II*\0" + struct.pack("<IH", 8, len(tags) + 1) + entries + bytes(4)
    path = tmp_path / "a.tif"
    path.write_bytes(head + struct.pack("<HHH", 16, 16, 16) + deep.tobytes())
    with pytest.raises(ValueError, match=r"a\.tif: 16-bit colours of which 14 bits or fewer are used"):
        read_image(path)
    path.write_bytes(head + struct.pack("<HHH", 16, 16, 16) + (deep * 16).tobytes())
    assert np.unique(read_image(path)).tolist() == [255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.5, 1], [0, 128, 255]),
        ([-0.02, 0.5, 1.04], [0, 128, 255]),
        ([0, 0.25, 0.5], [0, 64, 128]),
        ([0, 100.4, 255], [0, 100, 255]),
        ([0, 1000, 4095], [0, 62, 255]),
        ([0, 30000, 65535], [0, 117, 255]),
    ],
)
def test_floats_are_shares_of_white_or_grey_levels(
    tmp_path: Path, values: list[float], expected: list[int]
) -> None:
    Image.fromarray(np.tile(np.array(values, np.float32), (8, 3))).save(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif")[0, :3, 0].tolist() == expected


@pytest.mark.parametrize("values", [[-1, 0, 1], [0, 1, 1e6], [-100, 0, 255]])
def test_floats_of_another_range_are_refused(tmp_path: Path, values: list[float]) -> None:
    Image.fromarray(np.tile(np.array(values, np.float32), (8, 3))).save(tmp_path / "a.tif")
    with pytest.raises(
        ValueError, match=r"a\.tif: grey values from .*, expected 0 … 1, 0 … 255 or 0 … 65535"
    ):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_floats_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    Image.fromarray(np.tile(np.array([0, 1, value], np.float32), (8, 3))).save(tmp_path / "a.tif")
    for read in (read_image, read_mask):
        with pytest.raises(ValueError, match=r"a\.tif: has values (such as|that are no numbers)"):
            read(tmp_path / "a.tif")


def test_a_raw_file_is_not_its_preview(tmp_path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(tmp_path / "a.tif")
    (tmp_path / "a.NEF").write_bytes((tmp_path / "a.tif").read_bytes())
    with pytest.raises(ValueError, match=r"a\.NEF: a raw photograph, expected an image: save it as JPEG"):
        read_image(tmp_path / "a.NEF")


def planar_tiff(colours: np.ndarray) -> bytes:
    """A TIFF (H, W, 3) with one plane after the other."""
    height, width, _ = colours.shape
    bits, planes = 8 * colours.itemsize, np.ascontiguousarray(colours.transpose(2, 0, 1)).tobytes()
    after = 8 + len(planes)
    tags = {256: (3, 1, width), 257: (3, 1, height), 258: (3, 3, after), 259: (3, 1, 1), 262: (3, 1, 2),
            273: (4, 3, after + 6), 277: (3, 1, 3), 278: (3, 1, height), 279: (4, 3, after + 18),
            284: (3, 1, 2)}  # fmt: skip
    extra = struct.pack("<3H", *[bits] * 3)
    extra += struct.pack("<3I", *[8 + place * len(planes) // 3 for place in range(3)])
    extra += struct.pack("<3I", *[len(planes) // 3] * 3)
    directory = b"".join(struct.pack("<HHII", tag, *values) for tag, values in tags.items())
    start = struct.pack("<4sI", b"II*\0", after + len(extra))
    return start + planes + extra + struct.pack("<H", len(tags)) + directory + bytes(4)


def test_colours_in_planes(tmp_path: Path, picture: np.ndarray) -> None:
    """Of 16 bits the decoder makes something else without a word."""
    (tmp_path / "a.tif").write_bytes(planar_tiff(picture))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), picture)
    (tmp_path / "a.tif").write_bytes(planar_tiff(picture.astype("<u2") * 257))
    with pytest.raises(ValueError, match=r"a\.tif: 16-bit colours in a plane for each: save it as PNG"):
        read_image(tmp_path / "a.tif")


def test_a_mask_of_another_format_names_it(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png", format="JPEG")
    with pytest.raises(
        ValueError, match=r"a\.png: a JPEG file, which blurs the values of masks, expected PNG"
    ):
        read_mask(tmp_path / "a.png")


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_grey_in_photographs_and_values_in_masks(tmp_path: Path, bits: int) -> None:
    values = np.arange(128, dtype=np.uint8).reshape(8, 16) % 2**bits
    (tmp_path / "a.png").write_bytes(png(values, bits))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[..., 0], values * (255 // (2**bits - 1)))
    np.testing.assert_array_equal(read_mask(tmp_path / "a.png"), values)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (EPS, "an EPS or PostScript file, expected an image"),
        (b"%PDF-1.7\n", "a PDF file, expected an image: save it as JPEG or PNG"),
        (
            b"\0\0\0\x18ftypheic" + bytes(40),
            "a HEIC photograph or a video, expected an image: save it as JPEG",
        ),
        (b"\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"PK\3\4" + bytes(20), "a zip archive"),
        (b"II*\0" + bytes(20), "a TIFF with unusual pixels"),
    ],
)
def test_what_a_file_is_counts_not_its_name(
    tmp_path: Path, content: bytes, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a program was started"))
    (tmp_path / "a.png").write_bytes(content)
    for read in (read_image, read_mask):
        with pytest.raises(ValueError, match=rf"a\.png: {what}"):
            read(tmp_path / "a.png")


def test_a_jpeg_may_be_called_png(tmp_path: Path, picture: np.ndarray) -> None:
    Image.fromarray(picture).save(tmp_path / "a.png", format="JPEG", quality=95)
    assert read_image(tmp_path / "a.png").shape == picture.shape
    with pytest.raises(ValueError, match=r"a\.png: "):
        read_mask(tmp_path / "a.png")


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "I;16", "F", "P"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_masks_of_values_in_any_kind_of_pixels(tmp_path: Path, mode: str, suffix: str) -> None:
    mask = np.tile(np.array([0, 1, 2, 255], np.uint8), (8, 2))
    image = Image.fromarray(mask.astype({"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8)))
    if image.mode != mode:
        image = image.convert(mode)
    if (mode, suffix) == ("F", "png"):
        pytest.skip("PNG has no floats")
    image.save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read_mask(tmp_path / f"a.{suffix}"), mask)


def test_masks_that_are_partly_transparent_or_fractional_are_refused(tmp_path: Path) -> None:
    rgba = np.full((8, 8, 4), 255, np.uint8)
    rgba[0, 0, 3] = 0
    Image.fromarray(rgba).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: has transparent pixels"):
        read_mask(tmp_path / "a.png")
    Image.fromarray(np.full((8, 8), 0.5, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif: has values such as .*, expected whole numbers"):
        read_mask(tmp_path / "a.tif")


def test_large_deep_images_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png")
    loads, load = [], PngImageFile.load
    monkeypatch.setattr(PngImageFile, "load", lambda self: (loads.append(self.fp is not None), load(self))[1])
    read_image(tmp_path / "a.png")
    assert loads.count(True) == 1
