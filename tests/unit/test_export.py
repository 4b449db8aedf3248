from __future__ import annotations

from pathlib import Path

import numpy as np

from wsss.data import read_mask
from wsss.stages.masks import export_masks
from wsss.study.provenance import file_digest

MASK = np.arange(8 * 9, dtype=np.uint8).reshape(8, 9)
IMAGES = {name: Path(f"photos/{name}.jpg") for name in ("a", "b", "kept", "gone")}


def test_masks_come_back_and_the_lists_name_them(tmp_path: Path) -> None:
    export_masks(tmp_path, [("b", MASK), ("a", MASK.T)], IMAGES, ("cat", "red dog"))
    np.testing.assert_array_equal(read_mask(tmp_path / "b.png"), MASK)
    digests = [file_digest(tmp_path / name) for name in ("b.png", "a.png")]
    assert (tmp_path / "index.tsv").read_text().splitlines() == [
        "id\tfile\tdigest\timage",
        f"b\tb.png\t{digests[0]}\tphotos/b.jpg",
        f"a\ta.png\t{digests[1]}\tphotos/a.jpg",
    ]
    assert (tmp_path / "classes.txt").read_text() == "cat\nred dog\n"


def test_masks_of_removed_images_go(tmp_path: Path) -> None:
    export_masks(tmp_path, [("kept", MASK), ("gone", MASK)], IMAGES, ())
    export_masks(tmp_path, [("kept", MASK)], IMAGES, ())
    assert [path.name for path in tmp_path.glob("*.png")] == ["kept.png"]
