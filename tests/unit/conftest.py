"""Small images that networks learn in seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from tests.unit.finished_study import FinishedStudy
from wsss.data import ImageRow
from wsss.report.browser import write_report

COLOURS = {0: (200, 40, 40), 1: (40, 60, 210)}


@dataclass
class Pictures:
    """Twelve images: a square of class 0, 1 or both on grey noise, and masks by id."""

    rows: list[ImageRow]
    masks: dict[str, np.ndarray]


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    rows, masks = [], {}
    for number in range(12):
        labels = ((0,), (1,), (0, 1))[number % 3]
        height, width = ((40, 48), (36, 44))[number % 2]
        image = generator.integers(90, 130, (height, width, 3), dtype=np.uint8)
        mask = np.zeros((height, width), np.uint8)
        for label in labels:
            left = 3 + 20 * label
            image[8:30, left : left + 18] = COLOURS[label] + generator.integers(0, 20, (22, 18, 3))
            mask[8:30, left : left + 18] = label + 1
        path = folder / f"{number}.png"
        Image.fromarray(image).save(path)
        rows.append(ImageRow(str(number), path, None, "train", False, labels, height, width, ""))
        masks[str(number)] = mask
    return Pictures(rows, masks)


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory) -> FinishedStudy:
    """A finished study with its report, which no test may change."""
    folder = tmp_path_factory.mktemp("finished") / "tiny & <i>co"
    study = FinishedStudy(folder).draw().compute().tell()
    write_report(folder)
    return study
