"""Files that a data set draws for itself."""

from __future__ import annotations

from pathlib import Path

from wsss.data.generated import remove_stale


def test_only_wanted_files_and_folders_stay(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.jpg"):
        (tmp_path / name).write_text("x")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "a.png").write_text("x")
    remove_stale(tmp_path.iterdir(), {"a", "c"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "c.jpg"]


def test_what_is_not_found_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("x")
    remove_stale(tmp_path.glob("*.jpg"), set())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
