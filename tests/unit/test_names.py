"""Image files in folders, and the spellings of their names."""

from __future__ import annotations

import os
from pathlib import Path
from unicodedata import normalize

import pytest

from wsss.data.names import ImageNames, find_images, id_of, named_images
from wsss.data.problems import Problems
from wsss.data.text import read_text
from wsss.study.sources import photographs

NAMES = ("a.jpeg", "b.1.png", "c d.jpg", "cat/1.jpg", "dog/1.jpg", "dog/2.jpg", "trip/day 1/3.JPG")


def folder_of(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"image")
    return folder


def found(folder: Path, without: tuple[Path, ...] = ()) -> tuple[dict[str, str], list[str]]:
    """Ids with paths in the folder, and problems."""
    problems = Problems()
    images = find_images(folder, problems, without)
    paths = {image_id: path.relative_to(folder).as_posix() for image_id, path in images.items()}
    return paths, [line.replace(f"{folder}/", "") for line in problems.lines()]


def names_in(folder: Path) -> ImageNames:
    return ImageNames(find_images(folder, Problems()), folder)


def test_ids_are_paths_without_extension(tmp_path: Path) -> None:
    paths, problems = found(folder_of(tmp_path, *NAMES))
    assert set(paths) == {"a", "b.1", "c d", "cat__1", "dog__1", "dog__2", "trip__day 1__3"}
    assert paths["trip__day 1__3"] == "trip/day 1/3.JPG"
    assert problems == []


def test_hidden_files_other_files_and_folders_left_out_do_not_count(tmp_path: Path) -> None:
    folder_of(tmp_path, "a.jpg", ".b.jpg", ".thumbs/c.jpg", "notes.txt", "masks/a.png")
    assert found(tmp_path, (tmp_path / "masks",)) == ({"a": "a.jpg"}, [])


@pytest.mark.parametrize(
    ("spelling", "image_id"),
    [
        ("a", "a"),
        ("a.jpg", "a"),
        ("a.jpeg", "a"),
        (" a.JPG ", "a"),
        ("A", "a"),
        ("./a.jpg", "a"),
        ("images/a.jpg", "a"),
        ("/home/anna/photos/a.png", "a"),
        ("C:\\photos\\a.jpg", "a"),
        ("b.1", "b.1"),
        ("b.1.jpg", "b.1"),
        ("c d.png", "c d"),
        ("cat/1", "cat__1"),
        ("images/dog/1.jpg", "dog__1"),
        ("dog\\1.png", "dog__1"),
        ("dog__2", "dog__2"),
        ("2.jpg", "dog__2"),
        ("3", "trip__day 1__3"),
        ("day 1/3.jpg", "trip__day 1__3"),
        ("c%20d.png", "c d"),
        ("https://host/photos/c%20d.png?size=2#top", "c d"),
        ("s3://bucket/photos/a.jpg", "a"),
        ("file:///home/anna/a.jpg", "a"),
        ("/data/upload/1/1f2e3d4c-a.jpg", "a"),
        ("1f2e3d4c-a.jpg", "a"),
        ("/data/local-files/?d=photos/c%20d.png", "c d"),
    ],
)
def test_spellings_of_a_name(tmp_path: Path, spelling: str, image_id: str) -> None:
    names = names_in(folder_of(tmp_path, *NAMES))
    assert names.find(spelling) == {image_id}


@pytest.mark.parametrize(
    "spelling", ["b", "d.jpg", "", "cow/1.jpg", "a.txt", "1.5", "cat", "http://[a.jpg", "50%", "1f2e3d4c-"]
)
def test_other_names_are_none_of_the_images(tmp_path: Path, spelling: str) -> None:
    assert names_in(folder_of(tmp_path, *NAMES)).find(spelling) == set()


def test_names_that_lists_write_otherwise(tmp_path: Path) -> None:
    names = names_in(folder_of(tmp_path, " a.jpg", "b\\c.jpg"))
    assert names.find("a.jpg") == {" a"}
    assert names.find("b\\c.jpg") == names.find("b/c.jpg") == {"b\\c"}


def test_folders_of_operating_systems_are_passed_over(tmp_path: Path) -> None:
    folder_of(tmp_path, "a.jpg", "__MACOSX/a.jpg", "@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", "$RECYCLE.BIN/b.jpg")
    assert found(tmp_path) == ({"a": "a.jpg"}, [])
    assert set(photographs(tmp_path)) == {"a"}


def test_photographs_in_other_formats_are_not_passed_over(tmp_path: Path) -> None:
    """Only beside one that can be read, as cameras write both."""
    folder_of(tmp_path, "a.HEIC", "b.jpg", "b.NEF", "c.dng")
    expected = {"a": "a.HEIC", "b": "b.jpg", "c": "c.dng"}
    assert found(tmp_path) == (expected, [])
    assert photographs(tmp_path) == {name: tmp_path / file for name, file in expected.items()}


def test_a_list_that_names_a_broken_link_is_not_wrong_too(tmp_path: Path) -> None:
    (folder_of(tmp_path, "a.jpg") / "b.jpg").symlink_to("nowhere.jpg")
    images, names = named_images(tmp_path, Problems())
    assert set(images) == {"a"}
    assert names.find("b.jpg") == {"b"}


def test_ids_fit_into_names_of_files(tmp_path: Path) -> None:
    folder_of(tmp_path, f"{'a' * 200}.jpg", f"{'b' * 120}/{'c' * 118}.jpg", f"{'b' * 120}/{'ü' * 60}.jpg")
    paths, (problem,) = found(tmp_path)
    assert len(paths) == 3
    assert problem.endswith(
        "ü.jpg: 242 bytes with its folders, expected at most 240, as results are called so"
    )


def test_a_bare_name_in_two_folders_may_be_either(tmp_path: Path) -> None:
    assert names_in(folder_of(tmp_path, *NAMES)).find("1.jpg") == {"cat__1", "dog__1"}


def test_both_unicode_forms_are_one_name(tmp_path: Path) -> None:
    folder_of(tmp_path, f"{normalize('NFD', 'Müller')}.jpg")
    names = names_in(tmp_path)
    for form in ("NFC", "NFD"):
        assert names.find(normalize(form, "Müller.jpg")) == {normalize("NFC", "Müller")}


def test_files_that_are_one_name_in_two_forms_are_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, *(f"{normalize(form, 'ü')}.jpg" for form in ("NFC", "NFD")))
    if len(list(tmp_path.iterdir())) < 2:
        pytest.skip("this file system takes them for one")
    _, (problem,) = found(tmp_path)
    assert problem.startswith("duplicate id: ")


def test_what_is_no_regular_file_is_told_and_never_opened(tmp_path: Path) -> None:
    folder_of(tmp_path, "a.jpg", "d/e.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere/at all.jpg")
    (tmp_path / "null.png").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "linked.jpg").symlink_to("a.jpg")
    (tmp_path / "d" / "up").symlink_to(tmp_path)
    paths, problems = found(tmp_path)
    assert set(paths) == {"a", "d__e", "linked"}
    assert problems == [
        "not a file: gone.jpg: a link to nowhere/at all.jpg, which is not there",
        "not a file: null.png: a device, pipe or socket, expected a regular file",
        "not a file: pipe.jpg: a device, pipe or socket, expected a regular file",
    ]


def test_ids_of_folders_that_spell_another_id_are_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, "a__b.jpg", "a/b.jpg")
    assert id_of(tmp_path / "a/b.jpg", tmp_path) == "a__b"
    _, (problem,) = found(tmp_path)
    assert problem.startswith("duplicate id: a__b.jpg: has the same id as ")


# Texts


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_of_texts(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.csv").write_bytes(normalize("NFD", "ü,cat\r\n").encode(encoding))
    assert read_text(tmp_path / "a.csv", Problems()) == "ü,cat\r\n"


def test_texts_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("image,labels\nü,cat\n".encode("latin-1"))
    os.mkfifo(tmp_path / "pipe.csv")
    problems = Problems()
    for name in ("latin.csv", "pipe.csv", "missing.csv"):
        assert read_text(tmp_path / name, problems) is None
    assert [line.replace(f"{tmp_path}/", "") for line in problems.lines()] == [
        "undecodable text: latin.csv:2: byte 0xfc is not UTF-8, save the file as UTF-8",
        "missing file: pipe.csv: a device, pipe or socket, expected a regular file",
        "missing file: missing.csv: No such file or directory",
    ]
