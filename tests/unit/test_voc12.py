"""VOC 2012: what is read from its tree, every way in which it is refused, and its download."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torchvision.datasets import SBDataset
from torchvision.datasets.voc import DATASET_YEAR_DICT

from wsss.data import DatasetError, Manifest, read_image, read_mask, write_mask
from wsss.data.class_names import VOC_CLASSES as CLASSES
from wsss.data.problems import Problems
from wsss.data.voc12_annotations import read_annotations
from wsss.data.voc12_download import TRIES, download_missing
from wsss.stages.dataset import prepare
from wsss.study.config import ConfigError, load_study, read_study
from wsss.study.provenance import content_digest
from wsss.study.sources import source_images, source_tables

TRAIN = {"2007_000032", "2007_000039", "2008_000015", "2008_000019"}
VAL = {"2007_000033", "2007_000042", "2009_000080"}
TRAIN_AUG = TRAIN | {"2008_000002", "2008_000003", "2008_000008", "2011_000003"}
TEST = {"2008_000006", "2010_000099", "2011_000101"}


def read(tree: Any, **changes: Any) -> Manifest:
    return prepare(tree.config(**changes), tree.folder / "unused")


def ids(manifest: Manifest, split: str) -> set[str]:
    return {row.id for row in manifest.split(split)}


def refusal(tree: Any, **changes: Any) -> list[str]:
    """Lines of the error but for those that head a kind of problem; paths relative to the tree's folder."""
    with pytest.raises(DatasetError) as caught:
        read(tree, **changes)
    _, *lines = str(caught.value).replace(f"{tree.folder}/", "").splitlines()
    return [line.strip() for line in lines if line.startswith("    ")]


# What is read


def test_train_aug_is_the_union_with_sbd_without_val(voc_tree, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    manifest = read(voc_tree)
    assert (ids(manifest, "train"), ids(manifest, "val")) == (TRAIN_AUG, VAL)
    assert len(manifest) == len(TRAIN_AUG) + len(VAL)
    assert f"{voc_tree.sbd / 'val.txt'} and VOC's train, without VOC's val" in caplog.text


def test_scored_are_the_official_train_images_in_voc_order_of_classes(voc_tree) -> None:
    manifest = read(voc_tree)
    assert {row.id for row in manifest if row.scored} == TRAIN
    assert {row.id for row in manifest if row.mask} == TRAIN | VAL
    assert manifest.class_names == CLASSES == tuple(sorted(CLASSES))
    assert len(CLASSES) == 20
    for row in manifest:
        if row.mask:
            shown = set(np.unique(read_mask(row.mask)).tolist()) - {0, 255}
            assert shown == {label + 1 for label in row.labels}


def test_train_is_the_official_list_and_needs_no_sbd(voc_tree) -> None:
    shutil.rmtree(voc_tree.sbd)
    manifest = read(voc_tree, train="train", sbd=None)
    assert ids(manifest, "train") == {row.id for row in manifest if row.scored} == TRAIN


@pytest.mark.parametrize("name", ["train_aug", "trainaug"])
def test_a_list_of_train_aug_in_the_tree_comes_first(voc_tree, name: str, caplog) -> None:
    caplog.set_level(logging.INFO)
    chosen = ["2007_000032", "2008_000002"]
    voc_tree.list(name, [f"/JPEGImages/{i}.jpg /SegmentationClassAug/{i}.png" for i in chosen])
    manifest = read(voc_tree)
    assert ids(manifest, "train") == set(chosen)
    assert {row.id for row in manifest if row.scored} == {"2007_000032"}
    assert f"train_aug: read from {voc_tree.root}/ImageSets/Segmentation/{name}.txt" in caplog.text


@pytest.mark.parametrize("folder", ["dataset", "benchmark_RELEASE/dataset"])
def test_sbd_may_be_any_folder_of_its_archive(voc_tree, folder: str) -> None:
    moved = voc_tree.folder / "elsewhere" / folder
    moved.parent.mkdir(parents=True)
    voc_tree.sbd.rename(moved)
    manifest = read(voc_tree, sbd=str(voc_tree.folder / "elsewhere"))
    assert ids(manifest, "train") == TRAIN_AUG


def test_test_images_have_neither_labels_nor_masks(voc_tree) -> None:
    manifest = read(voc_tree, test=True)
    assert ids(manifest, "test") == TEST
    assert all(not row.labels and row.mask is None and not row.scored for row in manifest.split("test"))
    assert ids(read(voc_tree), "test") == set()


@pytest.mark.parametrize(
    ("difficult", "labels"), [("kept", ("bird", "car", "person")), ("dropped", ("bird", "car"))]
)
def test_rule_for_difficult_objects(voc_tree, difficult: str, labels: tuple[str, ...]) -> None:
    objects = [("person", True), ("car", True), ("bird", False), ("car", False)]
    voc_tree.annotate("2008_000002", objects)
    rows = {row.id: row for row in read(voc_tree, difficult=difficult)}
    assert tuple(CLASSES[label] for label in rows["2008_000002"].labels) == labels


def test_an_image_with_difficult_objects_only_is_kept_without_label(voc_tree, caplog) -> None:
    assert {row.id for row in read(voc_tree) if not row.labels} == {voc_tree.ALL_DIFFICULT}
    assert f"1 images have only difficult objects, so no label, e.g. {voc_tree.ALL_DIFFICULT}" in caplog.text
    assert all(row.labels for row in read(voc_tree, difficult="kept"))


def test_an_object_without_mark_is_not_difficult(voc_tree) -> None:
    path = voc_tree.root / "Annotations" / "2008_000002.xml"
    path.write_text("<annotation><object><name> sofa </name></object></annotation>")
    rows = {row.id: row for row in read(voc_tree)}
    assert rows["2008_000002"].labels == (CLASSES.index("sofa"),)


def test_other_counts_than_the_official_are_a_warning(voc_tree, caplog: pytest.LogCaptureFixture) -> None:
    read(voc_tree, test=True)
    assert "train_aug has 8 images, the official list 10582" in caplog.text
    assert "val has 3 images, the official list 1449" in caplog.text
    assert "test has 3 images, the official list 1456" in caplog.text


# What is refused


def spoil_missing_image(tree) -> list[str]:
    (tree.root / "JPEGImages" / "2008_000002.jpg").unlink()
    return ["VOCdevkit/VOC2012/JPEGImages/2008_000002.jpg: is listed at SBD/train.txt:1"]


def spoil_image(tree) -> list[str]:
    (tree.root / "JPEGImages" / "2008_000002.jpg").write_bytes(b"\xff\xd8\xff")
    return ["VOCdevkit/VOC2012/JPEGImages/2008_000002.jpg: "]


def spoil_missing_annotation(tree) -> list[str]:
    (tree.root / "Annotations" / "2007_000033.xml").unlink()
    return ["VOCdevkit/VOC2012/Annotations/2007_000033.xml: No such file or directory"]


def spoil_missing_mask(tree) -> list[str]:
    (tree.root / "SegmentationClass" / "2007_000033.png").unlink()
    return ["VOCdevkit/VOC2012/SegmentationClass/2007_000033.png: images of the official"]


def spoil_mask_values(tree) -> list[str]:
    path = tree.root / "SegmentationClass" / "2007_000033.png"
    mask = read_mask(path)
    mask[0, 0] = 21
    write_mask(path, mask)
    return ["VOCdevkit/VOC2012/SegmentationClass/2007_000033.png: values [21], expected 0 … 20 and 255"]


def spoil_list(tree) -> list[str]:
    (tree.root / "ImageSets" / "Segmentation" / "train.txt").unlink()
    return ["VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt: No such file or directory"]


def spoil_val_in_train(tree) -> list[str]:
    tree.list("trainaug", ["2007_000032", "2007_000033"])
    lists = "VOCdevkit/VOC2012/ImageSets/Segmentation"
    return [f"{lists}/trainaug.txt:2 and {lists}/val.txt:1: '2007_000033'"]


def spoil_sbd(tree) -> list[str]:
    (tree.sbd / "val.txt").unlink()
    return ["VOCdevkit/VOC2012: there is neither "]


def spoil_test_images(tree) -> list[str]:
    (tree.root / "JPEGImages" / "2010_000099.jpg").unlink()
    found = "1 of the 3 images of test are missing, e.g. 2010_000099.jpg"
    return [f"VOCdevkit/VOC2012/JPEGImages: {found}; the test images are in a separate archive"]


def spoil_test_list(tree) -> list[str]:
    (tree.root / "ImageSets" / "Segmentation" / "test.txt").unlink()
    lists = "VOCdevkit/VOC2012/ImageSets/Segmentation"
    return [f"{lists}/test.txt: there is no such list; the test images are in a separate archive"]


SPOILERS = [value for name, value in globals().items() if name.startswith("spoil_")]


@pytest.mark.parametrize("spoil", SPOILERS, ids=lambda spoil: spoil.__name__.removeprefix("spoil_"))
def test_a_spoilt_tree_is_refused_by_file(voc_tree, spoil: Callable[[Any], list[str]]) -> None:
    expected = spoil(voc_tree)
    found = refusal(voc_tree, test=True)
    assert len(found) == len(expected), found
    for line, beginning in zip(found, expected, strict=True):
        assert line.startswith(beginning)


def test_all_problems_come_in_one_message(voc_tree) -> None:
    spoilers = (spoil_missing_image, spoil_missing_annotation, spoil_mask_values, spoil_test_images)
    expected = [line for spoil in spoilers for line in spoil(voc_tree)]
    found = refusal(voc_tree, test=True)
    assert len(found) == len(expected)
    assert all(any(line.startswith(beginning) for line in found) for beginning in expected)


@pytest.mark.parametrize(
    ("xml", "reason"),
    [
        ("<annotation>", "not XML: no element found: line 1, column 12"),
        ("", "the file is empty"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "not XML: unknown encoding: klingon"),
        ("<annotations/>", "the root is <annotations>, expected <annotation>"),
        ("<annotation/>", "there is no <object>"),
        ("<annotation><part><object><name>cat</name></object></part></annotation>", "there is no <object>"),
        ("<annotation><object/></annotation>", "an <object> has no <name>"),
        (
            "<annotation><object><name>areoplane</name></object></annotation>",
            "there is no class 'areoplane', did you mean 'aeroplane'?",
        ),
        (
            "<annotation><object><name>cat</name><difficult>no</difficult></object></annotation>",
            "<difficult> is 'no', expected 0 or 1",
        ),
        (
            '<!DOCTYPE a [<!ENTITY b "cat"><!ENTITY c "&b;&b;">]>'
            "<annotation><object><name>&c;</name></object></annotation>",
            "has a document type, 'a'; annotations have none: remove `<!DOCTYPE …>`",
        ),
        (
            '<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotation/>',
            "has a document type, 'a'; annotations have none: remove `<!DOCTYPE …>`",
        ),
        ("<annotation>" + " " * 1_000_000 + "</annotation>", "1,000,025 bytes, expected at most 1,000,000"),
    ],
)
def test_a_bad_annotation_is_refused(voc_tree, xml: str, reason: str) -> None:
    (voc_tree.root / "Annotations" / "2008_000008.xml").write_text(xml)
    (line,) = refusal(voc_tree)
    assert line.startswith(f"VOCdevkit/VOC2012/Annotations/2008_000008.xml: {reason}")


def test_a_document_type_is_refused_in_any_encoding(voc_tree) -> None:
    path = voc_tree.root / "Annotations" / "2008_000008.xml"
    path.write_text('<!DOCTYPE a [<!ENTITY b "cat">]><annotation/>', encoding="utf-16")
    assert refusal(voc_tree)[0].endswith(
        "has a document type, 'a'; annotations have none: remove `<!DOCTYPE …>`"
    )


@given(st.binary(max_size=4), st.integers(0, 200), st.integers(0, 8))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_annotation_raises_nothing(tmp_path: Path, put: bytes, place: int, removed: int) -> None:
    content = (
        b'<?xml version="1.0" encoding="utf-8"?>'
        b"<annotation><object><name>cat</name><difficult>0</difficult></object></annotation>"
    )
    path, problems = tmp_path / "damaged.xml", Problems()
    path.write_bytes(content[:place] + put + content[place + removed :])
    labels = read_annotations({"damaged": path}, "kept", problems)
    if labels:
        assert len(labels["damaged"]) == 1
    else:
        with pytest.raises(DatasetError, match="bad annotation"):
            problems.raise_any("damaged")


def test_deeply_nested_xml_is_refused_like_any_other(voc_tree) -> None:
    path = voc_tree.root / "Annotations" / "2008_000008.xml"
    path.write_text("<a>" * 20_000 + "</a>" * 20_000)
    assert refusal(voc_tree) == [
        "VOCdevkit/VOC2012/Annotations/2008_000008.xml: the root is <a>, expected <annotation>"
    ]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("VOCdevkit", "did you mean VOCdevkit/VOC2012?"),
        (".", "did you mean VOCdevkit/VOC2012?"),
        ("VOCdevkit/VOC2012/JPEGImages", "did you mean VOCdevkit/VOC2012?"),
        ("VOCdevkit/VOC2007", "did you mean VOCdevkit/VOC2012?"),
        ("SBD", "missing JPEGImages, Annotations, SegmentationClass, ImageSets/Segmentation"),
        ("nowhere", "there is no such folder; `download: true` downloads it"),
    ],
)
def test_another_root_is_refused_with_what_was_looked_for(voc_tree, given: str, hint: str) -> None:
    (line,) = refusal(voc_tree, root=str(voc_tree.folder / given))
    assert "expected the folders JPEGImages, Annotations, SegmentationClass, ImageSets/Segmentation" in line
    assert line.endswith(hint)


def test_without_any_list_of_train_aug_all_places_are_named(voc_tree) -> None:
    (line,) = refusal(voc_tree, sbd=None)
    for word in ("ImageSets/Segmentation/train_aug.txt", "trainaug.txt", "`sbd` is null"):
        assert word in line


# The configuration


def test_overlay_over_the_default_study(tmp_path: Path) -> None:
    overlay = tmp_path / "voc.yaml"
    overlay.write_text("dataset: {kind: voc12, root: VOC2012}\n")
    dataset = read_study("config.yaml", overlay).dataset
    assert (dataset.kind, dataset.train, dataset.difficult) == ("voc12", "train_aug", "dropped")


def test_another_train_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.train: got 'all', allowed 'train_aug' or 'train'"):
        load_study({"dataset": {"kind": "voc12", "root": "x", "train": "all"}})


@pytest.mark.parametrize(("test", "splits"), [(True, ("train", "val", "test")), (False, ("train", "val"))])
def test_splits_of_a_study(test: bool, splits: tuple[str, ...]) -> None:
    assert load_study({"dataset": {"kind": "voc12", "root": "x", "test": test}}).splits == splits


# What Snakemake watches


def test_tables_are_the_lists_that_are_read(voc_tree) -> None:
    def names(**changes: Any) -> set[str]:
        return {
            str(Path(table).relative_to(voc_tree.folder))
            for table in source_tables(voc_tree.config(**changes))
        }

    lists = "VOCdevkit/VOC2012/ImageSets/Segmentation"
    official = {f"{lists}/train.txt", f"{lists}/val.txt"}
    assert names() == official | {"SBD/train.txt", "SBD/val.txt"}
    assert names(train="train", test=True) == official | {f"{lists}/test.txt"}
    voc_tree.list("trainaug", TRAIN)
    assert names() == official | {f"{lists}/trainaug.txt"}


@pytest.mark.parametrize(
    "name",
    ["JPEGImages/2007_000032.jpg", "Annotations/2007_000032.xml", "SegmentationClass/2007_000032.png"],
)
def test_every_file_of_the_tree_counts(voc_tree, name: str) -> None:
    before = source_images(voc_tree.config())
    assert before == source_images(voc_tree.config())
    path = voc_tree.root / name
    path.write_bytes(path.read_bytes() + b" ")
    assert source_images(voc_tree.config()) != before


# The download


@pytest.fixture
def servers(voc_tree, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that a server on this machine offers: archives of the tree, for the official ones.

    The tree itself is gone.
    """
    archives = voc_tree.folder / "servers"
    archives.mkdir()
    voc, sbd = archives / "VOCtrainval_11-May-2012.tar", archives / "benchmark.tgz"
    with tarfile.open(voc, "w") as archive:
        archive.add(voc_tree.root.parent, "VOCdevkit")
    with tarfile.open(sbd, "w:gz") as archive:
        archive.add(voc_tree.sbd, "benchmark_RELEASE/dataset")
    shutil.rmtree(voc_tree.root.parent)
    shutil.rmtree(voc_tree.sbd)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(archives)))
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setitem(DATASET_YEAR_DICT["2012"], "url", f"{address}/{voc.name}")
    monkeypatch.setitem(DATASET_YEAR_DICT["2012"], "md5", hashlib.md5(voc.read_bytes()).hexdigest())
    monkeypatch.setattr(SBDataset, "url", f"{address}/{sbd.name}")
    monkeypatch.setattr(SBDataset, "md5", hashlib.md5(sbd.read_bytes()).hexdigest())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield archives
    server.shutdown()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_download_fetches_what_is_missing_and_leaves_nothing_else(voc_tree, servers: Path) -> None:
    manifest = read(voc_tree, download=True)
    assert (ids(manifest, "train"), ids(manifest, "val")) == (TRAIN_AUG, VAL)
    assert {path.name for path in voc_tree.folder.iterdir()} == {"VOCdevkit", "SBD", "servers"}
    assert {path.name for path in voc_tree.root.parent.iterdir()} == {"VOC2012"}


def test_nothing_is_fetched_that_is_there(voc_tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASET_YEAR_DICT["2012"], "url", "file:///nowhere")
    monkeypatch.setattr(SBDataset, "url", "file:///nowhere")
    assert ids(read(voc_tree, download=True), "train") == TRAIN_AUG


def test_without_a_connection_the_error_says_what_to_fetch_and_where(voc_tree, servers: Path) -> None:
    for archive in servers.iterdir():
        archive.unlink()
    pauses: list[float] = []
    with pytest.raises(DatasetError) as caught:
        download_missing(voc_tree.config(download=True), pauses.append)
    assert str(voc_tree.root) in str(caught.value)
    assert DATASET_YEAR_DICT["2012"]["url"] in str(caught.value)
    assert "VOCdevkit/VOC2012 belongs there" in str(caught.value)
    assert len(pauses) == TRIES - 1
    assert pauses == sorted(pauses)


def test_a_download_goes_on_after_a_failure(voc_tree, servers: Path) -> None:
    sbd = servers / "benchmark.tgz"
    sbd.rename(servers / "away")
    pauses: list[float] = []

    def back_after_two(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            (servers / "away").rename(sbd)

    download_missing(voc_tree.config(download=True), back_after_two)
    assert len(pauses) == 2
    assert ids(read(voc_tree), "train") == TRAIN_AUG


def test_another_archive_than_the_official_is_refused(
    voc_tree, servers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DATASET_YEAR_DICT["2012"], "md5", "0" * 32)
    with pytest.raises(DatasetError, match="not found or corrupted"):
        download_missing(voc_tree.config(download=True), lambda seconds: None)
    assert not voc_tree.root.exists()


def test_a_folder_that_holds_something_else_is_not_touched(voc_tree, servers: Path) -> None:
    voc_tree.root.mkdir(parents=True)
    (voc_tree.root / "thesis.tex").write_text("years of work")
    with pytest.raises(DatasetError, match="neither empty nor complete; move it away"):
        read(voc_tree, download=True)
    assert [path.name for path in voc_tree.root.iterdir()] == ["thesis.tex"]


# Some of its classes, at another size

SOME = ["dog", "cat"]


def read_some(tree: Any, **changes: Any) -> Manifest:
    return prepare(tree.config(**changes), tree.folder / "generated")


def shown(manifest: Manifest) -> dict[str, set[str]]:
    return {row.id: {manifest.class_names[label] for label in row.labels} for row in manifest}


def test_images_without_the_classes_are_left_out_and_labels_of_others(voc_tree) -> None:
    everything = shown(read(voc_tree))
    some = read_some(voc_tree, classes=SOME)
    assert some.class_names == ("dog", "cat")
    expected = {i: classes & set(SOME) for i, classes in everything.items() if classes & set(SOME)}
    assert 0 < len(expected) < len(everything)
    assert shown(some) == expected
    assert {row.id for row in some if row.scored} == TRAIN & expected.keys()


def test_masks_have_the_values_of_the_study_and_others_are_void(voc_tree) -> None:
    value_of = {0: 0, 255: 255, CLASSES.index("dog") + 1: 1, CLASSES.index("cat") + 1: 2}
    some = [row for row in read_some(voc_tree, classes=SOME) if row.mask]
    seen: set[int] = set()
    for row in some:
        original = read_mask(voc_tree.root / "SegmentationClass" / f"{row.id}.png")
        expected = np.vectorize(lambda value: value_of.get(value, 255), otypes=[np.uint8])(original)
        assert np.array_equal(read_mask(row.mask), expected)
        seen |= set(np.unique(original).tolist())
    assert seen - value_of.keys(), "no mask has another class"


def test_images_must_show_one_of_some_classes_only(voc_tree) -> None:
    both = shown(read_some(voc_tree, classes=SOME))
    manifest = read_some(voc_tree, classes=SOME, showing=["cat"])
    assert shown(manifest) == {i: classes for i, classes in both.items() if "cat" in classes}
    assert any("dog" in classes for classes in shown(manifest).values())
    assert len(manifest) < len(both)


def test_a_class_that_no_image_shows_is_one_sentence(voc_tree) -> None:
    assert refusal(voc_tree, classes=["sofa"]) == [
        "VOCdevkit/VOC2012: no image of train shows sofa",
        "VOCdevkit/VOC2012: no image of val shows sofa",
    ]


def test_photographs_and_masks_are_shrunk_together(voc_tree) -> None:
    original = {row.id: row for row in read(voc_tree)}
    small = read_some(voc_tree, size=32)
    assert len(small) == len(original)
    for row in small:
        before = original[row.id]
        factor = 32 / max(before.height, before.width)
        assert (row.height, row.width) == (round(before.height * factor), round(before.width * factor))
        photograph = read_image(row.image)
        assert photograph.shape == (row.height, row.width, 3)
        assert row.digest == content_digest(row.image.read_bytes())
        whole = read_image(before.image).reshape(-1, 3).mean(0)
        assert np.abs(photograph.reshape(-1, 3).mean(0) - whole).max() < 3, "another picture"
        if row.mask:
            mask, nearest = read_mask(row.mask), read_mask(before.mask)
            assert mask.shape == (row.height, row.width)
            rows = ((np.arange(row.height) + 0.5) * before.height / row.height).astype(int)
            columns = ((np.arange(row.width) + 0.5) * before.width / row.width).astype(int)
            assert np.array_equal(mask, nearest[np.ix_(rows, columns)])


def test_what_is_small_enough_stays_as_it_is(voc_tree) -> None:
    small = read_some(voc_tree, size=64)
    assert [row.image for row in small] == [row.image for row in read(voc_tree)]
    assert not (voc_tree.folder / "generated" / "photographs").exists()


def test_smaller_photographs_are_written_once_and_go_with_their_images(voc_tree) -> None:
    folder = voc_tree.folder / "generated" / "photographs"
    read_some(voc_tree, size=40)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    read_some(voc_tree, size=40)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    dogs = read_some(voc_tree, size=40, classes=["dog"])
    assert {path.stem for path in folder.iterdir()} == {row.id for row in dogs} < {p.stem for p in before}


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"classes": ["cat", "dogg"]}, r"dataset\.classes"),
        ({"classes": ["cat", "cat"]}, r"'cat' is there twice"),
        ({"classes": []}, r"dataset\.classes"),
        ({"classes": ["cat"], "showing": ["dog"]}, r"'dog' is none of `classes`"),
        ({"classes": ["cat"], "test": True}, r"allowed false with `classes`"),
        ({"size": 256, "test": True}, r"allowed false with `size`"),
        ({"size": 8}, r"dataset\.size"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(section: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_study({"dataset": {"kind": "voc12", "root": "voc", **section}})
