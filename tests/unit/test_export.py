from __future__ import annotations

from pathlib import Path

import numpy as np

from wsss.data import read_mask
from wsss.stages.masks import export_masks
from wsss.study.provenance import file_digest

MASK = np.arange(8 * 9, dtype=np.uint8).reshape(8, 9)


def test_masks_come_back_and_the_index_lists_them(tmp_path: Path) -> None:
    index = tmp_path / "index.tsv"
    export_masks(index, [("b", MASK), ("a", MASK.T)])
    np.testing.assert_array_equal(read_mask(tmp_path / "b.png"), MASK)
    digests = [file_digest(tmp_path / name) for name in ("b.png", "a.png")]
    assert index.read_text().splitlines() == [
        "id\tfile\tdigest",
        f"b\tb.png\t{digests[0]}",
        f"a\ta.png\t{digests[1]}",
    ]


def test_masks_of_removed_images_go(tmp_path: Path) -> None:
    export_masks(tmp_path / "index.tsv", [("kept", MASK), ("gone", MASK)])
    export_masks(tmp_path / "index.tsv", [("kept", MASK)])
    assert [path.name for path in tmp_path.glob("*.png")] == ["kept.png"]
