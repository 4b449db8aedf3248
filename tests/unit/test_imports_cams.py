"""CAMs of other systems arrive as they were written, and are refused by file where they do not fit."""

from __future__ import annotations

import os
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

from wsss.data import ImageRow, Manifest
from wsss.results import read_cams, write_cams
from wsss.stages.cams.files import cam_files, import_cams
from wsss.stages.foreign.files import HEADERS
from wsss.study.config import FileCams

HEIGHT, WIDTH, CLASSES = 30, 41, 5
MAPS = np.random.default_rng(0).random((2, HEIGHT, WIDTH), dtype=np.float32)


def row(image_id: str = "a", labels: tuple[int, ...] = (1, 3)) -> ImageRow:
    return ImageRow(image_id, Path("a.jpg"), None, "train", False, labels, HEIGHT, WIDTH, "")


def save(path: Path, content: object) -> None:
    """Save a dictionary as other systems do."""
    np.save(path, content, allow_pickle=True)  # type: ignore[arg-type]


def imported(folder: Path, source: str, *rows: ImageRow, workers: int = 0) -> dict[str, Any]:
    images = Manifest(tuple(map(str, range(CLASSES))), rows or (row(),))
    section = FileCams(kind="files", format=source, folder=str(folder))
    cams = import_cams(images, cam_files(images, section), section, workers=workers)
    return {image_id: (scores, values) for image_id, scores, values in cams}


def refused(folder: Path, source: str, *rows: ImageRow) -> str:
    with pytest.raises(ValueError, match=re.escape(str(folder))) as error:
        imported(folder, source, *rows)
    return str(error.value)


# Every form


def test_keys_may_be_digits_as_text(tmp_path: Path) -> None:
    save(tmp_path / "a.npy", {"3": MAPS[1], "1": MAPS[0]})
    scores, values = imported(tmp_path, "psa")["a"]
    assert values.tolist() == [2, 4]
    np.testing.assert_array_equal(scores, MAPS.astype(np.float16))


def test_an_empty_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"")
    assert refused(tmp_path, "psa").endswith("a.npy: the file is empty")


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_grey_may_be_stored_as_equal_colours(tmp_path: Path, mode: str) -> None:
    levels = (255 * MAPS).astype(np.uint8)
    for label, grey in zip((1, 3), levels, strict=True):
        Image.fromarray(grey).convert(mode).save(tmp_path / f"a_{label}.png")
    scores, _ = imported(tmp_path, "png")["a"]
    np.testing.assert_array_equal(scores, (levels / np.float32(255)).astype(np.float16))


def psa(path: Path, maps: NDArray[Any], classes: list[int]) -> None:
    save(path.with_suffix(".npy"), dict(zip(classes, maps, strict=True)))


def psa_with_numpy_keys(path: Path, maps: NDArray[Any], classes: list[int]) -> None:
    save(path.with_suffix(".npy"), dict(zip(np.array(classes), maps, strict=True)))


def irn(path: Path, maps: NDArray[Any], classes: list[int]) -> None:
    """As IRN's own script: torch tensors among the arrays."""
    strided = F.avg_pool2d(torch.from_numpy(maps), 4, ceil_mode=True)
    save(path.with_suffix(".npy"), {"keys": torch.tensor(classes), "cam": strided, "high_res": maps})


def clip_es(path: Path, maps: NDArray[Any], classes: list[int]) -> None:
    save(path.with_suffix(".npy"), {"keys": np.array(classes), "attn_highres": maps.astype(np.float16)})


def stacks(path: Path, maps: NDArray[Any], classes: list[int]) -> None:
    np.savez(path.with_suffix(".npz"), scores=maps, classes=classes)


def compressed_stacks(path: Path, maps: NDArray[Any], classes: list[int]) -> None:
    np.savez_compressed(path.with_suffix(".npz"), scores=np.asfortranarray(maps), classes=classes)


def one_map_per_class(path: Path, maps: NDArray[Any], classes: list[int]) -> None:
    every = np.zeros((CLASSES, *maps.shape[1:]), maps.dtype)
    every[classes] = maps
    np.save(path.with_suffix(".npy"), every)


FORMS: dict[Callable[[Path, NDArray[Any], list[int]], None], str] = {
    psa: "psa",
    psa_with_numpy_keys: "psa",
    irn: "irn",
    clip_es: "clip_es",
    stacks: "stacks",
    compressed_stacks: "stacks",
    one_map_per_class: "stacks",
}


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_maps_arrive_in_ascending_order_of_classes(write: Any, tmp_path: Path) -> None:
    write(tmp_path / "a", MAPS[::-1].copy(), [3, 1])
    scores, values = imported(tmp_path, FORMS[write])["a"]
    assert (scores.dtype, values.dtype) == (np.float16, np.int64)
    assert values.tolist() == [2, 4]
    np.testing.assert_array_equal(scores, MAPS.astype(np.float16))
    write_cams(tmp_path / "00.npz", [("a", scores, values)])
    np.testing.assert_array_equal(read_cams(tmp_path / "00.npz")["a"].scores, scores)


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_only_the_images_labels_arrive(write: Any, tmp_path: Path) -> None:
    write(tmp_path / "a", MAPS, [1, 3])
    scores, values = imported(tmp_path, FORMS[write], row(labels=(3,)))["a"]
    assert values.tolist() == [4]
    np.testing.assert_array_equal(scores, MAPS[1:].astype(np.float16))


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_a_label_without_a_map_is_an_error(write: Any, tmp_path: Path) -> None:
    if write is one_map_per_class:
        np.save(tmp_path / "a.npy", MAPS)
        assert "maps of the classes [0, 1]" in refused(tmp_path, "stacks")
        return
    write(tmp_path / "a", MAPS, [2, 4])  # counted from 1
    said = refused(tmp_path, FORMS[write])
    assert "maps of the classes [2, 4], while the image's labels are [1, 3]" in said


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_impossible_values_are_refused(write: Any, value: float, tmp_path: Path) -> None:
    maps = MAPS.copy()
    maps[1, 2, 3] = value
    write(tmp_path / "a", maps, [1, 3])
    expected = "expected values from 0 on" if np.isfinite(value) else "no numbers (NaN) or infinite"
    assert expected in refused(tmp_path, FORMS[write])


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_another_size_is_refused(write: Any, tmp_path: Path) -> None:
    write(tmp_path / "a", np.ascontiguousarray(MAPS.transpose(0, 2, 1)), [1, 3])
    assert "maps of 41 x 30 (height x width), expected 30 x 41" in refused(tmp_path, FORMS[write])


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_maps_above_one_are_divided_by_their_maximum(write: Any, tmp_path: Path) -> None:
    maps = MAPS * np.float32([[[7]], [[0.5]]])
    write(tmp_path / "a", maps, [1, 3])
    scores, _ = imported(tmp_path, FORMS[write])["a"]
    np.testing.assert_allclose(scores[0], MAPS[0] / MAPS[0].max(), atol=1e-3)
    np.testing.assert_allclose(scores[1], maps[1], atol=1e-3)


# Single forms


def test_a_map_of_stride_four_is_enlarged_bilinearly(tmp_path: Path) -> None:
    strided = np.random.default_rng(1).random((2, 8, 11), dtype=np.float32)
    save(tmp_path / "a.npy", {"keys": [1, 3], "cam": strided})
    scores, _ = imported(tmp_path, "irn")["a"]
    size = (HEIGHT, WIDTH)
    expected = F.interpolate(torch.from_numpy(strided)[None], size, mode="bilinear", align_corners=False)[0]
    np.testing.assert_array_equal(scores, expected.half().numpy())
    save(tmp_path / "a.npy", {"keys": [1, 3], "cam": MAPS})
    assert "expected 8 x 11, as the image has 30 x 41 pixels" in refused(tmp_path, "irn")


@pytest.mark.parametrize(
    ("source", "content", "words"),
    [
        ("irn", {"keys": [1, 3]}, "no array 'cam'; there are ['keys']"),
        ("irn", {"high_res": MAPS}, "no array 'keys'"),
        ("irn", {"high_res": MAPS, "keys": [1.5, 3]}, "float64 for class numbers, expected whole numbers"),
        ("irn", {"high_res": MAPS, "keys": np.array([[1, 3]])}, "(1, 2) int64 for class numbers"),
        ("irn", {"high_res": MAPS, "keys": [1, 1]}, "maps of the classes [1, 1]"),
        ("irn", {"high_res": MAPS, "keys": [1, 3, 4]}, "expected floats (3, H, W)"),
        ("irn", {"high_res": MAPS.astype(np.uint8), "keys": [1, 3]}, "uint8, expected floats"),
        ("clip_es", {"keys": [1, 3], "high_res": MAPS}, "no array 'attn_highres'"),
        ("psa", {"keys": [1, 3], "high_res": MAPS}, "expected {class: (H, W)}"),
        ("psa", {1: MAPS[0], 3: MAPS[0, :5]}, "maps of different sizes: (5, 41) and (30, 41)"),
        (
            "psa",
            {1: MAPS[0], "dog": MAPS[1]},
            "['1', 'dog'] for class numbers, expected whole numbers from 0 on",
        ),
        ("psa", {"keys": np.array([1, 3]), "high_res": MAPS}, "; `format: irn` has these keys"),
        ("irn", {1: MAPS[0], 3: MAPS[1]}, "; `format: psa` has numbers of classes as keys"),
        ("psa", {2: MAPS[0], 4: MAPS[1]}, "without background); do the maps count from 1?"),
        (
            "psa",
            {1: MAPS[0], 3: MAPS[1], 5: MAPS[1]},
            "a map of the class 5, but the last of the 5 classes is 4",
        ),
        ("psa", {1: MAPS[0].T, 3: MAPS[1].T}, "; height and width are swapped"),
        (
            "psa",
            {1: (255 * MAPS[0]).astype(np.uint8), 3: (255 * MAPS[1]).astype(np.uint8)},
            "divide levels of 0 … 255 by 255",
        ),
        ("psa", {}, "maps of the classes []"),
        ("psa", [MAPS], "float32, expected a pickled dictionary"),
        ("psa", MAPS, "expected a pickled dictionary"),
        ("stacks", {1: MAPS[0]}, "elements must be plain numbers"),
        ("stacks", MAPS[0], "expected floats (30, H, W)"),
    ],
)
def test_content_of_another_form(source: str, content: object, words: str, tmp_path: Path) -> None:
    save(tmp_path / "a.npy", content)
    assert words in refused(tmp_path, source)


def test_an_image_without_labels_needs_no_file(tmp_path: Path) -> None:
    scores, values = imported(tmp_path, "psa", row(labels=()))["a"]
    assert (scores.shape, values.shape) == ((0, HEIGHT, WIDTH), (0,))


def test_all_missing_files_are_one_error(tmp_path: Path) -> None:
    psa(tmp_path / "b12", MAPS, [1, 3])
    said = refused(tmp_path, "psa", *(row(f"b{number}") for number in range(13)))
    assert "lacks the files of 12 of 13 images, expected <id>.npy: b0, b1," in said
    assert said.endswith("b9, …; there is e.g. b12.npy")
    assert "there is no folder" in refused(tmp_path / "nowhere", "psa")


def test_threads_keep_the_order(tmp_path: Path) -> None:
    names = [f"image {number}" for number in range(20)]
    for number, name in enumerate(names):
        psa(tmp_path / name, np.full_like(MAPS, number / 32), [1, 3])
    found = imported(tmp_path, "psa", *map(row, names), workers=3)
    assert [scores[0, 0, 0] * 32 for scores, _ in found.values()] == list(range(20))
    assert list(found) == names


# Hostile files


@pytest.mark.parametrize("source", ["irn", "clip_es"])
def test_nested_lists_are_not_handed_to_numpy(source: str, tmp_path: Path) -> None:
    nested: list[Any] = []
    for _ in range(60):
        nested = [nested, nested]
    save(tmp_path / "a.npy", {"keys": nested, "high_res": MAPS, "attn_highres": MAPS})
    assert "no array 'keys'" in refused(tmp_path, source)
    save(tmp_path / "a.npy", {"keys": [1, 3], "high_res": nested, "attn_highres": nested})
    assert "no array" in refused(tmp_path, source)


class Calls:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("source", ["psa", "irn", "clip_es", "stacks"])
def test_nothing_in_a_file_is_run(source: str, tmp_path: Path) -> None:
    target = tmp_path / "made"
    call = Calls(os.system, f"touch {target}")
    for content in ({1: call, "keys": call}, Calls(dict, [(1, call)])):
        save(tmp_path / "a.npy", content)
        assert re.search(r"may ask for arrays only|plain numbers", refused(tmp_path, source))
    assert not target.exists()


def test_the_refused_file_would_have_run_something(tmp_path: Path) -> None:
    """The test above is worth something: numpy's own way runs such a file."""
    target = tmp_path / "made"
    save(tmp_path / "a.npy", {1: Calls(os.system, f"touch {target}")})
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert target.exists()


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__)
def test_truncated_and_empty_files(write: Any, tmp_path: Path) -> None:
    write(tmp_path / "a", MAPS, [1, 3])
    path = next(tmp_path.iterdir())
    data = path.read_bytes()
    for end in (0, 5, 9, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:end])
        refused(tmp_path, FORMS[write])


def test_files_of_other_kinds(tmp_path: Path) -> None:
    torch.save({1: torch.ones(3)}, tmp_path / "a.npy")
    assert "no .npy file, it starts with b'PK" in refused(tmp_path, "psa")
    (tmp_path / "a.npy").write_bytes(pickle.dumps({1: MAPS[0], 3: MAPS[1]}))
    assert "no .npy file" in refused(tmp_path, "psa")


def test_huge_files_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with path.open("wb") as file:
        file.truncate(2**40)
    assert "1,099,511,627,776 bytes, expected at most" in refused(tmp_path, "psa")


def test_huge_claims_are_not_believed(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", MAPS)
    data = (tmp_path / "a.npy").read_bytes()
    claim = data.replace(b"(2, 30, 41), }      ", b"(2000000, 30, 41), }")
    (tmp_path / "a.npy").write_bytes(claim)
    assert "claims (2000000, 30, 41) float32 in 9840 bytes" in refused(tmp_path, "stacks")


def test_a_zip_that_swells_is_not_unpacked(tmp_path: Path) -> None:
    limit = 8 * 2 * CLASSES * HEIGHT * WIDTH + HEADERS
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scores.npy", bytes(limit + 1))
    assert f"{limit + 1} bytes when unpacked, expected at most {limit}" in refused(tmp_path, "stacks")


def test_an_unreadable_disk_is_no_damaged_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    psa(tmp_path / "a", MAPS, [1, 3])

    def fail(path: Path) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(OSError, match="Input/output error"):
        imported(tmp_path, "psa")


# PuzzleCAM, and other kinds of tensors


def puzzlecam(path: Path, maps: NDArray[Any], classes: list[int]) -> None:
    """As PuzzleCAM's own script: a background in front of the keys, which has no map."""
    keys = np.pad(np.array(classes) + 1, (1, 0), mode="constant")
    strided = F.avg_pool2d(torch.from_numpy(np.asarray(maps, np.float32)), 4, ceil_mode=True)
    save(path.with_suffix(".npy"), {"keys": keys, "cam": strided, "hr_cam": maps})


def test_puzzlecam(tmp_path: Path) -> None:
    puzzlecam(tmp_path / "a", MAPS[::-1].copy(), [3, 1])
    scores, values = imported(tmp_path, "puzzlecam")["a"]
    assert values.tolist() == [2, 4]
    np.testing.assert_array_equal(scores, MAPS.astype(np.float16))
    strided = np.random.default_rng(1).random((2, 8, 11), dtype=np.float32)
    save(tmp_path / "a.npy", {"keys": np.array([0, 2, 4]), "cam": torch.from_numpy(strided)})
    expected = F.interpolate(torch.from_numpy(strided)[None], (HEIGHT, WIDTH), mode="bilinear")[0]
    np.testing.assert_array_equal(imported(tmp_path, "puzzlecam")["a"][0], expected.half().numpy())


@pytest.mark.parametrize("keys", [[1, 3], [2, 0], [0, 0, 2], []])
def test_keys_without_background_in_front_are_not_puzzlecams(tmp_path: Path, keys: list[int]) -> None:
    save(tmp_path / "a.npy", {"keys": np.array(keys, np.int64), "hr_cam": MAPS[: max(len(keys) - 1, 0)]})
    assert "expected 0 for the background, then classes from 1 on" in refused(tmp_path, "puzzlecam")


@pytest.mark.parametrize("source", ["irn", "psa", "clip_es", "puzzlecam"])
@pytest.mark.parametrize("kind", ["bfloat16", "parameter"])
def test_bfloat16_and_parameters(tmp_path: Path, source: str, kind: str) -> None:
    tensor = torch.from_numpy(MAPS).bfloat16().float()
    maps = tensor.bfloat16() if kind == "bfloat16" else torch.nn.Parameter(tensor)
    first, second = (maps[number].detach().clone() for number in (0, 1))
    if kind == "parameter":
        first, second = torch.nn.Parameter(first), torch.nn.Parameter(second)
    content: dict[str, dict[Any, Any]] = {
        "irn": {"keys": torch.tensor([1, 3]), "high_res": maps},
        "psa": {1: first, 3: second},
        "clip_es": {"keys": [1, 3], "attn_highres": maps},
        "puzzlecam": {"keys": [0, 2, 4], "hr_cam": maps},
    }
    save(tmp_path / "a.npy", content[source])
    np.testing.assert_array_equal(imported(tmp_path, source)["a"][0], tensor.numpy().astype(np.float16))


def test_a_small_file_that_makes_gigabytes_is_refused(tmp_path: Path) -> None:
    """One map of 5 kB under 3,000 keys, which stacking would make 15 MB for an image of 1 kB."""
    save(tmp_path / "a.npy", dict.fromkeys(range(3000), MAPS[0]))
    assert "makes more bytes of its values than any CAMs of the image take" in refused(tmp_path, "psa")


# A PNG per class

NAMED = ("person", "cat", "stop sign", "dog", "cow")


def png_cams(folder: Path, *rows: ImageRow) -> dict[str, Any]:
    images = Manifest(NAMED, rows or (row(),))
    section = FileCams(kind="files", format="png", folder=str(folder))
    cams = import_cams(images, cam_files(images, section), section)
    return {image_id: (scores, values) for image_id, scores, values in cams}


@pytest.mark.parametrize(
    ("cat", "dog"),
    [
        ("a_cat.png", "a_dog.png"),
        ("a/cat.png", "a/dog.png"),
        ("a_1.png", "a_3.png"),
        ("a/1.png", "a/3.png"),
    ],
)
@pytest.mark.parametrize("white", [255, 65535])
def test_a_png_per_class(tmp_path: Path, cat: str, dog: str, white: int) -> None:
    deep = np.round(MAPS * white).astype(np.uint8 if white == 255 else np.uint16)
    for name, pixels in ((cat, deep[0]), (dog, deep[1])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / name)
    Image.fromarray(deep[0]).save(tmp_path / "a_b_cat.png")  # of another image, a_b
    scores, values = png_cams(tmp_path)["a"]
    assert values.tolist() == [2, 4]
    np.testing.assert_allclose(scores, deep / white, atol=1e-3)


def test_missing_and_wrong_pngs_are_named(tmp_path: Path) -> None:
    grey = np.zeros((HEIGHT, WIDTH), np.uint8)
    Image.fromarray(grey).save(tmp_path / "a_cat.png")
    with pytest.raises(
        ValueError,
        match=r"lacks 1 maps, expected <id>_<class>\.png or .*: a \(dog\); there is e.g. a_cat.png$",
    ):
        png_cams(tmp_path)
    Image.fromarray(grey.T).save(tmp_path / "a_dog.png")
    with pytest.raises(ValueError, match=r"a_dog\.png: maps of 41 x 30 \(height x width\), expected 30 x 41"):
        png_cams(tmp_path)
    Image.new("RGB", (WIDTH, HEIGHT), "red").save(tmp_path / "a_dog.png")
    with pytest.raises(ValueError, match=r"a_dog\.png: colours, such as a heat map's"):
        png_cams(tmp_path)


def test_names_may_be_in_another_unicode_form(tmp_path: Path) -> None:
    psa(tmp_path / normalize("NFD", "ü"), MAPS, [1, 3])
    assert set(imported(tmp_path, "psa", row(normalize("NFC", "ü")))) == {"ü"}
