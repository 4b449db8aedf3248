"""Masks of SBD: what is read of MATLAB files and PNGs, and what is said of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from tests.conftest import VocTree
from wsss.data import DatasetError, Manifest, read_mask, write_mask
from wsss.data.problems import Problems
from wsss.data.sbd_masks import find_masks, read_sbd_mask
from wsss.data.voc12 import prepare

MASK = np.tile(np.array([[0, 1, 20], [0, 0, 3]], np.uint8), (4, 3))


def save(path: Path, mask: NDArray[Any], key: str = "GTcls", field: str = "Segmentation") -> Path:
    """Write a file as SBD has them."""
    savemat(path, {key: {field: mask, "Boundaries": np.zeros(2)}}, do_compression=True)
    return path


def test_a_mask_is_read_from_its_struct(tmp_path: Path) -> None:
    read = read_sbd_mask(save(tmp_path / "a.mat", MASK))
    assert read.dtype == np.uint8
    assert read.tolist() == MASK.tolist()


@pytest.mark.parametrize(
    ("mask", "names", "message"),
    [
        (MASK, ("GTinst", "Segmentation"), r"has no `GTcls\.Segmentation`"),
        (MASK, ("GTcls", "Boundary"), r"has no `GTcls\.Segmentation`"),
        (MASK.astype(np.float64), ("GTcls", "Segmentation"), r"float64 of shape \(8, 9\), expected integers"),
        (np.zeros((2, 3, 4), np.uint8), ("GTcls", "Segmentation"), r"shape \(2, 3, 4\)"),
        (np.zeros((0, 0), np.uint8), ("GTcls", "Segmentation"), r"expected integers \(H, W\)"),
        (MASK.astype(np.int16) * 20, ("GTcls", "Segmentation"), "values from 0 to 400, expected 0 to 255"),
    ],
)
def test_other_contents_are_named(
    mask: NDArray[Any], names: tuple[str, str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=rf"a\.mat.*{message}"):
        read_sbd_mask(save(tmp_path / "a.mat", mask, *names))


@pytest.mark.parametrize("cut", [0, 1, 60, 127, 128, 140, -1])
def test_damaged_files_are_named(cut: int, tmp_path: Path) -> None:
    path = save(tmp_path / "a.mat", MASK)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=r"a\.mat"):
        read_sbd_mask(path)


def test_a_file_that_is_far_too_large_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    path.write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(ValueError, match=r"a\.mat: 1,048,577 bytes, expected a mask of SBD"):
        read_sbd_mask(path)


def test_pngs_are_taken_where_they_are_and_matlab_files_become_pngs(tmp_path: Path) -> None:
    problems = Problems()
    save(tmp_path / "a.mat", MASK)
    write_mask(tmp_path / "b.png", MASK)
    found = find_masks(tmp_path, ["a", "b", "c"], tmp_path / "generated", problems)
    assert found == {"a": tmp_path / "generated" / "sbd_masks" / "a.png", "b": tmp_path / "b.png"}
    assert all(read_mask(path).tolist() == MASK.tolist() for path in found.values())
    written = found["a"].stat().st_mtime_ns
    find_masks(tmp_path, ["a"], tmp_path / "generated", problems)
    assert found["a"].stat().st_mtime_ns == written, "a file that has not changed is not written again"
    problems.raise_any("masks")


@pytest.mark.parametrize(("folder", "said"), [("missing", "no such folder"), (".", "no mask of a training")])
def test_a_folder_without_masks_is_a_problem(folder: str, said: str, tmp_path: Path) -> None:
    problems = Problems()
    find_masks(tmp_path / folder, ["a"], tmp_path / "generated", problems)
    with pytest.raises(DatasetError, match=said):
        problems.raise_any("masks")


def masks_of(manifest: Manifest) -> dict[str, bool]:
    """Whether each training image with a mask is scored."""
    return {row.id: row.scored for row in manifest.split("train") if row.mask}


def test_masks_of_sbd_are_for_full_supervision_and_nothing_is_scored_on_them(voc_tree: VocTree) -> None:
    without = masks_of(prepare(voc_tree.config(), voc_tree.folder / "generated"))
    assert all(without.values())
    folder = voc_tree.folder / "cls"
    folder.mkdir()
    extra = sorted({*sum(voc_tree.SBD.values(), ())} - {*sum(voc_tree.OFFICIAL.values(), ())})
    for image_id in extra:
        width, height = Image.open(voc_tree.root / "JPEGImages" / f"{image_id}.jpg").size
        save(folder / f"{image_id}.mat", np.zeros((height, width), np.uint8))
    found = masks_of(prepare(voc_tree.config(full_masks=str(folder)), voc_tree.folder / "generated"))
    assert found == without | dict.fromkeys(extra, False)
