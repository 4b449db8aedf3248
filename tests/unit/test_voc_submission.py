"""The archive for VOC's evaluation server: its bytes, and every way in which others are refused."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsss.data.images import palette_image
from wsss.stages.voc_submission import problems_of, write_submission

FOLDER = "results/VOC2012/Segmentation/comp5_test_cls"
SIZES = {"2008_000006": (9, 12), "2010_000099": (12, 9), "2011_000101": (10, 10)}
MASKS = {
    image_id: np.random.default_rng(0).integers(0, 21, size, dtype=np.uint8)
    for image_id, size in SIZES.items()
}


def png(mask: np.ndarray) -> bytes:
    file = io.BytesIO()
    palette_image(mask).save(file, format="PNG")
    return file.getvalue()


def contents() -> dict[str, bytes]:
    """Members of a sound archive by name."""
    return {f"{FOLDER}/{image_id}.png": png(mask) for image_id, mask in MASKS.items()}


def pack(path: Path, members: dict[str, bytes], *others: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in others:
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for field, value in fields.items():
        setattr(member, field, value)
    return member


# What is written


def test_members_are_indexed_masks_in_the_layout_of_the_server(tmp_path: Path) -> None:
    path = tmp_path / "results.tgz"
    write_submission(path, MASKS.items(), SIZES)
    with tarfile.open(path) as archive:
        assert archive.getnames() == [f"{FOLDER}/{image_id}.png" for image_id in sorted(MASKS)]
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None
            with Image.open(content) as image:
                assert (image.format, image.mode) == ("PNG", "P")
                assert image.getpalette()[3:9] == [128, 0, 0, 0, 128, 0]
                np.testing.assert_array_equal(np.asarray(image), MASKS[Path(member.name).stem])
    assert problems_of(path, SIZES) == []


def test_the_same_masks_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_submission(tmp_path / "one.tgz", MASKS.items(), SIZES)
    monkeypatch.setattr("time.time", lambda: 1e9)
    write_submission(tmp_path / "two.tgz", MASKS.items(), SIZES)
    assert (tmp_path / "one.tgz").read_bytes() == (tmp_path / "two.tgz").read_bytes()


def test_an_archive_that_fails_the_check_gets_no_name(tmp_path: Path) -> None:
    masks = {**MASKS, "2011_000101": np.full((10, 10), 255, np.uint8)}
    with pytest.raises(ValueError, match=r"2011_000101\.png: values \[255\], expected 0 … 20"):
        write_submission(tmp_path / "results.tgz", masks.items(), SIZES)
    assert list(tmp_path.iterdir()) == []


# What is refused


def test_folders_on_the_way_are_no_problem(tmp_path: Path) -> None:
    way = ["results", "results/VOC2012", "results/VOC2012/Segmentation", FOLDER]
    folders = [entry(name, tarfile.DIRTYPE) for name in way]
    assert problems_of(pack(tmp_path / "a.tgz", contents(), *folders), SIZES) == []


LINK = f"{FOLDER}/2008_000006.png"


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        (entry("../../etc/cron.d/job", size=5), "../../etc/cron.d/job: expected results/VOC2012/"),
        (entry("/etc/passwd", size=5), "/etc/passwd: expected results/VOC2012/"),
        (entry(f"{FOLDER}/../{Path(LINK).name}", size=5), f"{FOLDER}/../2008_000006.png: expected results/"),
        (entry(f"{FOLDER}/2007_000033.png", size=5), f"{FOLDER}/2007_000033.png: expected results/"),
        (entry("results/readme.txt", size=5), "results/readme.txt: expected results/VOC2012/"),
        (entry(LINK, size=5), f"{LINK}: is there twice"),
        (entry(LINK, tarfile.SYMTYPE, linkname="/etc/passwd"), f"{LINK}: a link, a device"),
        (entry(LINK, tarfile.LNKTYPE, linkname=LINK), f"{LINK}: a link, a device"),
        (entry("results/pipe", tarfile.FIFOTYPE), "results/pipe: a link, a device"),
        (entry("elsewhere", tarfile.DIRTYPE), "elsewhere: a link, a device or another folder"),
        (entry("results/bomb", size=2_000_000), "results/bomb: 2,000,000 bytes, expected at most 1,000,000"),
    ],
    ids=lambda value: value.name if isinstance(value, tarfile.TarInfo) else "",
)
def test_members_that_do_not_belong_there(tmp_path: Path, member: tarfile.TarInfo, expected: str) -> None:
    (found,) = problems_of(pack(tmp_path / "a.tgz", contents(), member), SIZES)
    assert found.startswith(expected)


def of_mode(mode: str) -> Callable[[np.ndarray], bytes]:
    def encode(mask: np.ndarray) -> bytes:
        file = io.BytesIO()
        Image.fromarray(mask).convert(mode).save(file, format="PNG")
        return file.getvalue()

    return encode


def of_four_bits(mask: np.ndarray) -> bytes:
    file = io.BytesIO()
    palette_image(mask % 16).save(file, format="PNG", bits=4)
    return file.getvalue()


def in_other_colours(mask: np.ndarray) -> bytes:
    file = io.BytesIO()
    image = palette_image(mask)
    image.putpalette(bytes(range(256)) * 3)
    image.save(file, format="PNG")
    return file.getvalue()


def with_size(width: int, height: int) -> Callable[[np.ndarray], bytes]:
    """A PNG whose header claims another size."""

    def encode(mask: np.ndarray) -> bytes:
        content = bytearray(png(mask))
        content[16:24] = struct.pack(">II", width, height)
        content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
        return bytes(content)

    return encode


@pytest.mark.parametrize(
    ("encode", "expected"),
    [
        (of_mode("L"), "8 bits of PNG colour type 0, expected 8 bits indexed (type 3)"),
        (of_mode("RGB"), "8 bits of PNG colour type 2, expected 8 bits indexed (type 3)"),
        (of_four_bits, "4 bits of PNG colour type 3, expected 8 bits indexed (type 3)"),
        (lambda mask: png(mask.T), "12 x 9 pixels, but its image has 9 x 12"),
        (with_size(60_000, 60_000), "60000 x 60000 pixels, but its image has 9 x 12"),
        (lambda mask: png(np.full_like(mask, 21)), "values [21], expected 0 … 20"),
        (lambda mask: png(mask)[:-40], "cannot be decoded: "),
        (lambda mask: b"\xff\xd8\xff" + bytes(100), "no PNG"),
        (lambda mask: b"", "no PNG"),
        (in_other_colours, "the palette is not that of VOC"),
    ],
)
def test_masks_that_the_server_cannot_read(
    tmp_path: Path, encode: Callable[[np.ndarray], bytes], expected: str
) -> None:
    name = f"{FOLDER}/2010_000099.png"
    members = contents() | {name: encode(MASKS["2010_000099"])}
    (found,) = problems_of(pack(tmp_path / "a.tgz", members), SIZES)
    assert found.startswith(f"{name}: {expected}")


def test_missing_masks_are_counted(tmp_path: Path) -> None:
    members = contents()
    del members[f"{FOLDER}/2010_000099.png"]
    assert problems_of(pack(tmp_path / "a.tgz", members), SIZES) == [
        "1 of the 3 images of test have no mask, e.g. 2010_000099"
    ]


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tgz", contents())
    path.write_bytes(path.read_bytes()[:-200])
    assert any(line.startswith("no whole .tgz archive: ") for line in problems_of(path, SIZES))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", gzip.compress(b"no archive", mtime=0), bytes(2000)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tgz").write_bytes(content)
    found = problems_of(tmp_path / "a.tgz", SIZES)
    assert found
    assert all(line.startswith(("no whole .tgz archive: ", "3 of the 3 images")) for line in found)


def test_a_header_that_claims_gigabytes_is_not_read(tmp_path: Path) -> None:
    header = entry("pax", tarfile.XHDTYPE, size=8_000_000_000).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "a.tgz").write_bytes(gzip.compress(header + bytes(5_000_000)))
    found = problems_of(tmp_path / "a.tgz", SIZES)
    assert "a header asks for 8000000000 bytes" in found[0]


def test_after_many_problems_the_check_stops(tmp_path: Path) -> None:
    others = [entry(f"other{number}", size=1) for number in range(100)]
    found = problems_of(pack(tmp_path / "a.tgz", {}, *others), SIZES)
    assert len(found) == 21
    assert found[-1] == "… and perhaps more"
