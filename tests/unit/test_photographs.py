"""Sizes of photographs, and copies of the same photograph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsss.data.scenes import draw_scene
from wsss.planning.photographs import look_at, near_duplicates, sizes_of


def scene(number: int, side: int = 160) -> Image.Image:
    return Image.fromarray(draw_scene(np.random.default_rng(number), side)[0])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(12):
        scene(number).save(tmp_path / f"{number}.png")
    return tmp_path


def seen(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.iterdir())}


def test_sizes_are_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 20))
    image.save(tmp_path / "wide.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    image.save(tmp_path / "tall.jpg", exif=turned)
    found = look_at(seen(tmp_path))
    assert [(p.height, p.width) for p in (found["wide"], found["tall"])] == [(20, 40), (40, 20)]


def test_only_the_formats_of_a_run_are_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostScript under the name of a PNG would start Ghostscript."""
    scene(1).save(tmp_path / "drawing.png", format="EPS")
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_, **__: scene(1).im)
    with Image.open(tmp_path / "drawing.png") as image:
        image.load()  # as Pillow alone would
    assert look_at(seen(tmp_path)) == {}


def test_sizes_are_summed_up(tmp_path: Path) -> None:
    for name, size in {"a": (100, 50), "b": (60, 300), "c": (200, 200)}.items():
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    assert sizes_of(look_at(seen(tmp_path)).values()) == (200, 100, 300, pytest.approx(0.021))


def test_files_that_are_no_images_are_left_out(folder: Path) -> None:
    (folder / "3.png").write_bytes(b"hello")
    (folder / "4.png").write_bytes((folder / "5.png").read_bytes()[:300])
    assert set(look_at(seen(folder))) == {str(number) for number in range(12)} - {"3", "4"}


@pytest.mark.parametrize(
    "copy",
    [
        lambda image: image,
        lambda image: image.resize((91, 91)),
        lambda image: image.point(lambda value: min(255, int(value * 1.15))),
        lambda image: image.convert("L"),
    ],
    ids=["the same", "smaller", "brighter", "grey"],
)
def test_a_copy_is_found_in_another_file(folder: Path, copy) -> None:
    copy(scene(7)).save(folder / "again.jpg", quality=60)
    photographs = look_at(seen(folder))
    others = [str(number) for number in range(12)]
    assert near_duplicates(photographs, ["again"], others) == [("again", "7")]
    assert near_duplicates(photographs, others, ["again"]) == [("7", "again")]


def test_other_photographs_are_no_copies(folder: Path) -> None:
    photographs = look_at(seen(folder))
    assert near_duplicates(photographs, ["0", "1", "2"], [str(number) for number in range(3, 12)]) == []


def test_even_pictures_say_nothing(tmp_path: Path) -> None:
    for name, grey in {"a": 10, "b": 200}.items():
        Image.new("L", (64, 64), grey).save(tmp_path / f"{name}.png")
    assert near_duplicates(look_at(seen(tmp_path)), ["a"], ["b"]) == []


def test_nothing_has_no_copies() -> None:
    assert near_duplicates({}, [], []) == []
