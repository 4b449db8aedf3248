"""Masks of SBD (Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011), MATLAB files or PNGs.

SBD's `cls/<id>.mat` holds a struct `GTcls` with a field `Segmentation`: values of VOC's classes without void.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from wsss.data.checks import in_parallel, written
from wsss.data.problems import Problems

FOLDER = "sbd_masks"
"""Of the PNGs that are made of MATLAB files."""

LARGEST = 1 << 17
"""Bytes of a MATLAB file that is read: SBD's have a few thousand, and hold up to a thousand times as many."""

SUFFIXES = (".mat", ".png")


def find_masks(folder: Path, ids: Iterable[str], generated: Path, problems: Problems) -> dict[str, Path]:
    """Find masks of images in SBD's folder `cls`, or in a folder of PNGs; images without one are left out.

    MATLAB files are written as PNGs below ``generated``. A folder without any mask of them is a problem.
    """
    if not folder.is_dir():
        problems.add("no masks for full supervision", f"{folder}: there is no such folder")
        return {}
    candidates = ((image_id, folder / f"{image_id}{suffix}") for image_id in ids for suffix in SUFFIXES)
    found = {image_id: path for image_id, path in candidates if path.is_file()}
    if not found:
        expected = "<id>.mat, as in SBD's folder `cls`, or <id>.png"
        problems.add(
            "no masks for full supervision", f"{folder}: no mask of a training image, expected {expected}"
        )

    def convert(item: tuple[str, Path]) -> Path | str:
        image_id, path = item
        if path.suffix != ".mat":
            return path
        try:
            return written(generated / FOLDER / f"{image_id}.png", read_sbd_mask(path))
        except (OSError, ValueError) as error:
            return str(error)

    masks: dict[str, Path] = {}
    items = {image_id: (image_id, path) for image_id, path in sorted(found.items())}
    for image_id, result in in_parallel(convert, items, "reading SBD's masks"):
        if isinstance(result, Path):
            masks[image_id] = result
        else:
            problems.add("unreadable mask", result)
    return masks


def read_sbd_mask(path: Path) -> NDArray[np.uint8]:
    """Read the mask (H, W) uint8 of one of SBD's MATLAB files.

    Raises:
        ValueError: The file is too large, cannot be read, or holds something else. The message names it.
        OSError: There is no such file.
    """
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"{path}: {size:,} bytes, expected a mask of SBD with at most {LARGEST:,}")
    try:
        content = loadmat(path, variable_names=["GTcls"])
    except Exception as error:  # SciPy raises whatever it stumbles over in a damaged file
        raise ValueError(f"{path}: not a MATLAB file that can be read ({error})") from error
    try:
        mask = np.asarray(content["GTcls"]["Segmentation"][0, 0])
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: has no `GTcls.Segmentation`, as SBD's masks of classes do") from error
    if mask.ndim != 2 or mask.dtype.kind not in "ui" or not mask.size:
        raise ValueError(
            f"{path}: `GTcls.Segmentation` is {mask.dtype} of shape {mask.shape}, expected integers (H, W)"
        )
    if mask.min() < 0 or mask.max() > np.iinfo(np.uint8).max:
        raise ValueError(f"{path}: has values from {mask.min()} to {mask.max()}, expected 0 to 255")
    return mask.astype(np.uint8)
