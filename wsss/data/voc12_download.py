"""Download of VOC 2012 and SBD from their official servers, with torchvision's addresses and checksums."""

from __future__ import annotations

import logging
import os
import shutil
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from torchvision.datasets import SBDataset
from torchvision.datasets.utils import download_url
from torchvision.datasets.voc import DATASET_YEAR_DICT

from wsss.data.archives import unpack
from wsss.data.problems import DatasetError
from wsss.study.sources import VOC12_LISTS, sbd_lists, voc12_augmented_list

if TYPE_CHECKING:
    from wsss.study.config import Voc12

TRIES = 4
FIRST_PAUSE = 10.0
"""Seconds before the second try; each pause is three times the one before."""

logger = logging.getLogger(__name__)


def download_missing(config: Voc12, sleep: Callable[[float], None] = time.sleep) -> None:
    """Download VOC 2012 and SBD, each only if it is needed and missing; existing files are not touched.

    Args:
        config: The data set, with the folders of both.
        sleep: Waits for a number of seconds between two attempts.

    Raises:
        DatasetError: A download failed; the message says what to fetch by hand and where to put it.
    """
    root = Path(config.root)
    if not (root / VOC12_LISTS).is_dir():
        _fetch(_voc, root, f"{DATASET_YEAR_DICT['2012']['url']}: its VOCdevkit/VOC2012 belongs there", sleep)
    if config.train == "train_aug" and config.sbd and not voc12_augmented_list(config):
        sbd = Path(config.sbd)
        if sbd_lists(sbd) is None:
            _fetch(_sbd, sbd, f"{SBDataset.url}: its benchmark_RELEASE/dataset belongs there", sleep)


def _voc(folder: Path) -> Path:
    """Download and unpack below `folder`; return the folder that becomes the root of VOC 2012."""
    official = DATASET_YEAR_DICT["2012"]
    _unpacked(folder, official["url"], official["filename"], official["md5"])
    return folder / "VOCdevkit" / "VOC2012"


def _sbd(folder: Path) -> Path:
    """Do the same for SBD."""
    _unpacked(folder, SBDataset.url, SBDataset.filename, SBDataset.md5)
    return folder / "benchmark_RELEASE" / "dataset"


def _unpacked(folder: Path, url: str, name: str, md5: str) -> None:
    """Download an archive, compare its checksum, and unpack it; torchvision's own unpacking trusts names."""
    download_url(url, str(folder), name, md5)
    unpack(folder / name, folder)


def _fetch(
    download: Callable[[Path], Path], place: Path, archive: str, sleep: Callable[[float], None]
) -> None:
    """Download into a folder next to `place`, and move the result to `place` once it is complete.

    After a failure the next call continues with what has been downloaded.
    """
    if place.is_dir() and any(place.iterdir()):
        raise DatasetError(f"{place}: neither empty nor complete; move it away, or unpack by hand {archive}")
    beside = place.with_name(f".{place.name}.download")
    beside.mkdir(parents=True, exist_ok=True)
    logger.info("%s: downloading %s", place, archive)
    os.replace(_persistently(lambda: download(beside), place, archive, sleep), place)
    shutil.rmtree(beside)


def _persistently(
    download: Callable[[], Path], place: Path, archive: str, sleep: Callable[[float], None]
) -> Path:
    """Try several times: the servers of old data sets are slow and sometimes unreachable."""
    for attempt in range(1, TRIES + 1):
        try:
            return download()
        except (
            OSError,
            RuntimeError,
            EOFError,
            ValueError,
            tarfile.TarError,
        ) as error:  # or a wrong checksum
            failure = error
            logger.warning("%s: download %d of %d failed: %s", place, attempt, TRIES, error)
        if attempt < TRIES:
            sleep(FIRST_PAUSE * 3 ** (attempt - 1))
    raise DatasetError(
        f"{place}: {TRIES} downloads failed, the last with: {failure}\n"
        f"  Without a connection, download on another machine {archive}"
    ) from failure
