"""Labels in the layouts that people and annotation tools make: told apart, and read to the same end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsss.data.layouts import Labels, detect, near_misses, read

IMAGES = ("images/a.jpeg", "images/b.jpg", "images/c.png")
EXPECTED = {"a": ("cat", "dog"), "b": ("cat",), "c": ()}


def picture(path: Path, grey: int = 9) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((9, 10), grey, np.uint8)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in IMAGES:
        picture(tmp_path / name)
    return tmp_path


def read_from(folder: Path, kind: str) -> Labels:
    layout = detect(folder)
    assert layout is not None
    assert layout.kind == kind
    return read(layout)


def lines(labels: Labels, folder: Path) -> list[str]:
    return [line.replace(f"{folder}/", "") for line in labels.problems.lines()]


TABLES = {
    "space": "image,labels\na.jpeg,cat dog\nb,cat\nc.png,\n",
    "another extension": "image,labels\na.jpg,cat dog\nb.JPG,cat\nc.jpg,\n",
    "comma": 'filename,label\na,"cat,dog"\nb,cat\nc,\n',
    "comma without quotes": "image,labels\na,cat,dog\nb,cat\nc,\n",
    "semicolon": "Image;Labels\na;cat,dog\nb;cat\nc;\n",
    "semicolon between labels": "image,labels\na,cat;dog\nb,cat\nc,none\n",
    "bar": "image|class\na|cat;dog\nb|cat\nc|\n",
    "bar between labels": "image_id,tags\na,cat|dog\nb,cat\nc,background\n",
    "tab": "file\tcategory\na.jpeg\tcat dog\nb.jpg\tcat\nc.png\t\n",
    "one row per label": "image,label\na,cat\na,dog\nb,cat\nc,background\n",
    "one-hot": "image,cat,dog\na,1,1\nb,1,0\nc,0,0\n",
    "one-hot in words": "Photo Name;cat;dog\na;true;true\nb;True;False\nc;false;\n",
    "one-hot with background": "image,background,cat,dog\na,0,1.0,1.0\nb,0,1.0,0.0\nc,1,0.0,0.0\n",
    "lists": "image,labels\na,\"['cat', 'dog']\"\nb,['cat']\nc,[]\n",
    "several columns of labels": "image,label1,label2\na,cat,dog\nb,cat,\nc,,\n",
    "columns that tell nothing": "id,image,width,labels\n1,a,10,cat dog\n2,b,10,cat\n3,c,10,\n",
    "objects": "filename,width,class,xmin\na,10,cat,1\na,10,dog,5\nb,10,cat,1\nc,10,none,0\n",
    "other order of columns": "labels,image\ncat dog,a\ncat,b\n,c\n",
    "no header": "a.jpeg,cat;dog\nb.jpg,cat\nc.png,\n",
    "no header, semicolon": "a.jpeg;cat,dog\nb.jpg;cat\nc.png;\n",
    "words": "a.jpeg cat dog\nb.jpg cat\nc.png\n",
    "empty rows": "image,labels\na,cat dog\n,\nb,cat\nc,\n,\n,,\n\n",
    "whole paths": "path,labels\n/home/x/images/a.jpeg,cat dog\nC:\\x\\b.jpg,cat\n./images/c.png,\n",
    "byte order mark and line ends": "\ufeffimage,labels\r\na,cat dog\r\nb,cat\r\nc,\r\n",
    "decimal commas": "image;cat;dog\na;1,0;1,0\nb;1,0;0,0\nc;0,0;0,0\n",
    "-1 for no": "image,cat,dog\na,1,1\nb,1,-1\nc,-1,-1\n",
    "words of other languages": "image;cat;dog\na;WAHR;WAHR\nb;WAHR;FALSCH\nc;FALSCH;FALSCH\n",
    "Excel's separator": "sep=;\nimage;labels\na;cat,dog\nb;cat\nc;\n",
    "comments first": "# labels of May\n#\nimage,labels\na,cat dog\nb,cat\nc,\n",
    "a column without name": ",image,labels\n0,a,cat dog\n1,b,cat\n2,c,\n",
    "cells that stand for empty ones": "image,labels\na,cat;dog\nb,cat\nc,NaN\n",
    "a dash": "image,labels\na,cat;dog\nb,cat\nc,-\n",
    "characters without width": "image,labels\n\u200ba,cat\u200b;dog\nb,cat\ufeff\nc,\u200b\n",
    "addresses": "image,labels\nhttps://host/a.jpeg?x=1,cat;dog\nfile:///home/x/b.jpg,cat\ns3://y/c.png,\n",
    "an export of Label Studio": "image,id,choice,annotator\n"
    '/data/upload/1/1f2e3d4c-a.jpg,1,"{""choices"":[""cat"",""dog""]}",1\n'
    "/data/upload/1/1f2e3d4c-b.jpg,2,cat,1\n/data/upload/1/1f2e3d4c-c.jpg,3,,1\n",
    "boxes of Label Studio": "image,label\n"
    'a,"[{""x"":1,""rectanglelabels"":[""cat""]},{""rectanglelabels"":[""dog""]}]"\n'
    'b,"[{""x"":1,""rectanglelabels"":[""cat""]}]"\nc,[]\n',
    "old line ends": "image,labels\ra,cat dog\rb,cat\rc,\r",
    "line breaks in cells": 'image,note,labels\na,"x\ny","cat\ndog"\nb,,cat\nc,,\n',
    "an image twice": "image,labels\na,cat\na.jpeg,dog\nb,cat\nb,cat\nc,\n",
}


@pytest.mark.parametrize("form", TABLES)
def test_tables(folder: Path, form: str) -> None:
    (folder / "labels.csv").write_bytes(TABLES[form].encode())
    labels = read_from(folder, "table")
    assert lines(labels, folder) == []
    assert labels.labels == EXPECTED
    assert labels.class_names == ("cat", "dog")
    assert labels.unlabelled == []


@pytest.mark.parametrize(
    "text", ["image,labels\na,stop sign\na,dog\nb,dog\n", "image,labels\na,stop sign|dog\nb,dog\n"]
)
def test_names_of_classes_with_spaces_between_other_marks(folder: Path, text: str) -> None:
    (folder / "labels.csv").write_text(text)
    labels = read_from(folder, "table")
    assert labels.labels == {"a": ("dog", "stop sign"), "b": ("dog",)}
    assert labels.unlabelled == ["c"]


def test_a_list_of_classes_tells_names_with_spaces_apart(folder: Path) -> None:
    (folder / "labels.csv").write_text("image,labels\na,dog stop sign\nb,traffic light stop sign\nc,\n")
    (folder / "classes.txt").write_text("_background_\nstop sign\ndog\ntraffic light\n")
    labels = read_from(folder, "table")
    assert labels.class_names == ("stop sign", "dog", "traffic light")
    assert labels.labels == {"a": ("stop sign", "dog"), "b": ("stop sign", "traffic light"), "c": ()}


def test_a_column_of_splits(folder: Path) -> None:
    (folder / "labels.csv").write_text("image,split,label\na,train,cat\nb,valid,cat\nc,Test,dog\n")
    assert read_from(folder, "table").splits == {"a": "train", "b": "val", "c": "test"}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "image,labels\ncat,a.jpeg\ndog,b.jpg\n",
            ["swapped columns: labels.csv:1: the column 'image' holds classes and 'labels' the images: swap "
             "the two names"],
        ),
        (
            "image,labels\na,cat\nx,dog\nx,cat\n,dog\n",
            ["label without image: labels.csv:3: there is no image 'x'",
             "label without image: labels.csv:5: there is no name of an image"],
        ),
        ("image,size\na,1\nb,2\nc,3\n", []),
        (
            "image,width,height\na,10,9\nb,12,9\nc,10,8\n",
            ["bad header: labels.csv:1: found 'image,width,height', expected a column of image names and one "
             "of labels, as in `image,labels`, or a column for each class"],
        ),
        (
            "image,cat,dog\na,0.9,0.2\nb,0.8,0.1\nc,0,0.3\n",
            ["bad column: labels.csv:1: the column 'cat' holds 0.9, expected 1 or 0: whether an image shows "
             "the class, not how likely it does"],
        ),
        ("image,labels\nb,cat\n.a,dog\n",
         ["label without image: labels.csv:3: there is no image '.a': names that begin with a dot are passed "
          "over"]),
        ('image,labels\na,"cat\n',
         ["bad line: labels.csv:2: a cell begins with a quotation mark (\") that nothing closes"]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_told_once(folder: Path, text: str, problems: list[str]) -> None:
    (folder / "labels.csv").write_text(text)
    found = lines(read_from(folder, "table"), folder)
    if problems:
        assert found == problems


def test_names_that_are_all_unknown_are_one_line(folder: Path) -> None:
    (folder / "labels.csv").write_text("image,labels\na,cat\n")
    layout = detect(folder)
    assert layout is not None
    (folder / "labels.csv").write_text("image,labels\n" + "".join(f"IMG_{n},cat\n" for n in range(40)))
    (line,) = lines(read(layout), folder)
    assert line.endswith(
        "labels.csv: none of the 40 names is an image's, e.g. 'IMG_0' at labels.csv:2; the images are "
        "called e.g. 'a'"
    )


# Folders


def test_a_folder_per_class(tmp_path: Path) -> None:
    for number, name in enumerate(
        ("cat/1.jpg", "cat/2.jpg", "stop sign/1.jpg", "none/9.jpg", "dog/old/5.jpg")
    ):
        picture(tmp_path / name, number)
    labels = read_from(tmp_path, "folders")
    assert labels.class_names == ("cat", "dog", "stop sign")
    assert labels.labels == {
        "cat__1": ("cat",), "cat__2": ("cat",), "dog__old__5": ("dog",), "none__9": (),
        "stop sign__1": ("stop sign",),
    }  # fmt: skip


def test_a_file_in_the_folders_of_two_classes_is_one_image_of_both(tmp_path: Path) -> None:
    for name, grey in (
        ("cat/1.png", 5),
        ("dog/1.png", 5),
        ("dog/2.png", 5),
        ("cat/3.png", 6),
        ("dog/3.png", 7),
    ):
        picture(tmp_path / name, grey)
    labels = read_from(tmp_path, "folders")
    assert labels.labels["cat__1"] == ("cat", "dog")
    assert set(labels.labels) == {"cat__1", "dog__2", "cat__3", "dog__3"}


def test_folders_of_splits_around_folders_of_classes(tmp_path: Path) -> None:
    for number, name in enumerate(("train/cat/1.jpg", "train/dog/2.jpg", "valid/cat/3.jpg")):
        picture(tmp_path / name, number)
    labels = read_from(tmp_path, "folders")
    assert labels.class_names == ("cat", "dog")
    assert labels.splits == {"train__cat__1": "train", "train__dog__2": "train", "valid__cat__3": "val"}


def test_images_beside_the_folders_of_classes_are_told(tmp_path: Path) -> None:
    for name in ("cat/1.jpg", "dog/1.jpg", "stray.jpg"):
        picture(tmp_path / name, len(name))
    labels = read_from(tmp_path, "folders")
    assert lines(labels, tmp_path) == ["image without label: stray.jpg: is in no folder of a class"]
    assert "stray" not in labels.images


# Annotation tools


def coco(images: dict[int, str], classes: dict[int, str], shown: list[tuple[int, int]]) -> str:
    return json.dumps(
        {
            "images": [{"id": n, "file_name": f, "height": 9, "width": 10} for n, f in images.items()],
            "categories": [{"id": n, "name": c, "supercategory": "animal"} for n, c in classes.items()],
            "annotations": [
                {"id": n, "image_id": image, "category_id": category, "bbox": [0, 0, 1, 1]}
                for n, (image, category) in enumerate(shown)
            ],
        }
    )


def test_boxes_in_coco_are_enough(folder: Path) -> None:
    images = {1: "a.jpeg", 2: "photos/b.jpg", 3: "c.png"}
    classes = {0: "animal", 4: "_background_", 7: "cat", 9: "dog"}
    (folder / "annotations.json").write_text(coco(images, classes, [(1, 7), (1, 9), (1, 7), (2, 7)]))
    labels = read_from(folder, "coco")
    assert lines(labels, folder) == []
    assert labels.labels == EXPECTED
    assert labels.class_names == ("cat", "dog")


def test_coco_beside_the_images_of_each_split(tmp_path: Path) -> None:
    for number, name in enumerate(("train/1.jpg", "train/2.jpg", "valid/1.jpg")):
        picture(tmp_path / name, number)
    (tmp_path / "train" / "_annotations.coco.json").write_text(
        coco({1: "1.jpg", 2: "2.jpg"}, {1: "cat"}, [(1, 1)])
    )
    (tmp_path / "valid" / "_annotations.coco.json").write_text(coco({1: "1.jpg"}, {1: "cat"}, [(1, 1)]))
    labels = read_from(tmp_path, "coco")
    assert labels.labels == {"train__1": ("cat",), "train__2": (), "valid__1": ("cat",)}
    assert labels.splits == {"train__1": "train", "train__2": "train", "valid__1": "val"}


def label_studio(image: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"image": image}, "annotations": [{"result": [{"value": value}]}], **more}


LABEL_STUDIO: dict[str, list[dict[str, Any]]] = {
    "choices": [
        label_studio("/data/upload/1/0a1b2c3d-a.jpeg", {"choices": ["cat", "dog"]}),
        label_studio("s3://bucket/b.jpg?version=2", {"choices": ["cat"]}),
        label_studio("/data/local-files/?d=photos%2Fimages%2Fc.png", {"choices": ["background"]}),
    ],
    "boxes and outlines": [
        {
            "id": 1,
            "file_upload": "0a1b2c3d-a.jpeg",
            "data": {"text": "a\nb", "image": "http://host/0a1b2c3d-a.jpeg"},
            "annotations": [
                {"result": [], "was_cancelled": True},
                {"result": [{"value": {"x": 1, "rectanglelabels": ["cat"]}},
                            {"value": {"polygonlabels": ["dog"]}}]},
            ],
        },
        label_studio("b.jpg", {"format": "rle", "brushlabels": ["cat"]}),
        {"id": 3, "data": {"img": "c.png"}, "annotations": [{"result": []}]},
    ],
    "JSON-MIN": [
        {"id": 1, "image": "0a1b2c3d-a.jpeg", "choice": {"choices": ["cat", "dog"]}, "annotator": 1},
        {"id": 2, "image": "b.jpg", "label": [{"rectanglelabels": ["cat"], "x": 1}], "annotator": 1},
        {"id": 3, "image": "c.png", "choice": "none", "annotator": 1, "annotation_id": 3},
    ],
}  # fmt: skip


@pytest.mark.parametrize("form", LABEL_STUDIO)
def test_label_studio(folder: Path, form: str) -> None:
    (folder / "project-1.json").write_text(json.dumps(LABEL_STUDIO[form]))
    labels = read_from(folder, "label_studio")
    assert lines(labels, folder) == []
    assert labels.labels == EXPECTED


def test_label_studio_changes_names_when_it_stores_files(folder: Path) -> None:
    (folder / "images" / "a.jpeg").rename(folder / "images" / "me & a dog (1).jpeg")
    uploaded = "/data/upload/1/0a1b2c3d-me__a_dog_1.jpeg"
    tasks = [label_studio(uploaded, {"choices": ["cat", "dog"]}), *LABEL_STUDIO["choices"][1:]]
    (folder / "project-1.json").write_text(json.dumps(tasks))
    labels = read_from(folder, "label_studio")
    assert lines(labels, folder) == []
    assert labels.labels["me & a dog (1)"] == ("cat", "dog")


def test_an_address_without_a_host_names_no_image(folder: Path) -> None:
    tasks = [label_studio("https://[photos/none.jpg", {"choices": ["dog"]})]
    (folder / "export.json").write_text(json.dumps(tasks))
    (line,) = lines(read_from(folder, "label_studio"), folder)
    assert "[0]: there is no image for" in line


def test_two_files_that_label_studio_would_call_the_same(folder: Path) -> None:
    for name in ("a dog.jpeg", "a_dog.jpeg"):
        shutil.copy(folder / "images" / "a.jpeg", folder / "images" / name)
    tasks = [label_studio("/data/upload/1/0a1b2c3d-a_dog.jpeg", {"choices": ["dog"]})]
    (folder / "project-1.json").write_text(json.dumps(tasks))
    (line,) = lines(read_from(folder, "label_studio"), folder)
    assert "it may be any of a dog, a_dog for" in line


def test_tasks_that_nobody_has_annotated_are_unlabelled(folder: Path) -> None:
    tasks = [*LABEL_STUDIO["choices"][:2], {"id": 3, "data": {"image": "c.png"}, "annotations": []}]
    (folder / "project-1.json").write_text(json.dumps(tasks))
    assert read_from(folder, "label_studio").unlabelled == ["c"]


def labelme(image: str, labels: list[str], **flags: bool) -> str:
    shapes = [{"label": label, "points": [[1, 1], [5, 5], [1, 5]]} for label in labels]
    return json.dumps(
        {"version": "5.4.1", "flags": flags, "shapes": shapes, "imagePath": image, "imageData": None}
    )


def test_labelme(folder: Path) -> None:
    (folder / "images" / "a.json").write_text(
        labelme("..\\images\\a.jpeg", ["cat", "__ignore__", "cat"], dog=True)
    )
    (folder / "images" / "b.json").write_text(labelme("renamed.jpg", ["cat"], dog=False))
    (folder / "images" / "c.json").write_text(labelme("c.png", ["_background_"]))
    labels = read_from(folder, "labelme")
    assert lines(labels, folder) == []
    assert labels.labels == EXPECTED


def voc(image: str, *names: str) -> str:
    objects = "".join(f"<object><name>{name}</name><difficult/></object>" for name in names)
    return f"<annotation><filename>{image}</filename>{objects}</annotation>"


def test_voc_annotations_of_any_classes(folder: Path) -> None:
    (folder / "Annotations").mkdir()
    for name, text in (
        ("a", voc("x.jpg", "cat", "giraffe", "cat")), ("number_2", voc("b.jpg", "cat")), ("c", voc("c.png")),
    ):  # fmt: skip
        (folder / "Annotations" / f"{name}.xml").write_text(text)
    labels = read_from(folder, "voc")
    assert lines(labels, folder) == []
    assert labels.labels == {"a": ("cat", "giraffe"), "b": ("cat",), "c": ()}


def test_classes_of_voc_keep_its_order(folder: Path) -> None:
    for name, shown in (("a", ("person", "boat")), ("b", ("cow",))):
        (folder / f"{name}.xml").write_text(voc(f"{name}.jpg", *shown))
    assert read_from(folder, "voc").class_names == ("boat", "cow", "person")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.xml", voc("a.jpg", "cat") + "<", "bad annotation: a.xml: not XML"),
        ("z.xml", voc("z.jpg", "cat"), "label without image: z.xml: its image is not there"),
    ],
)
def test_a_bad_annotation_is_one_line(folder: Path, name: str, content: str, problem: str) -> None:
    (folder / "b.xml").write_text(voc("b.jpg", "cat"))
    (folder / name).write_text(content)
    (line,) = lines(read_from(folder, "voc"), folder)
    assert line.startswith(problem)


# What no layout is


def test_folders_without_images_or_labels_have_no_layout(tmp_path: Path) -> None:
    assert detect(tmp_path) is None
    assert detect(tmp_path / "missing") is None
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "train.txt").write_text("a\n")
    (tmp_path / "notes.txt").write_text("taken in May\n")
    assert detect(tmp_path) is None


def test_masks_and_results_are_no_images(folder: Path) -> None:
    (folder / "labels.csv").write_text(TABLES["space"])
    for name in ("masks/a.png", "results/study/masks/segmentation/val/b.png"):
        picture(folder / name)
    layout = detect(folder)
    assert layout is not None
    assert layout.masks == folder / "masks"
    assert layout.images == folder / "images"
    assert set(read(layout).images) == set(EXPECTED)


def test_a_known_class_may_have_other_capitals(folder: Path) -> None:
    (folder / "classes.txt").write_text("cat\ndog\n")
    (folder / "labels.csv").write_text("image,labels\na,Cat DOG\nb,CAT\nc,\n")
    assert dict(read_from(folder, "table").labels) == EXPECTED


@pytest.mark.parametrize("mark", ["+", "/", " & "])
def test_known_classes_may_stand_between_other_marks(folder: Path, mark: str) -> None:
    (folder / "classes.txt").write_text("cat\ndog\n")
    (folder / "labels.csv").write_text(f"image,labels\na,cat{mark}dog\nb,cat\nc,\n")
    assert dict(read_from(folder, "table").labels) == EXPECTED


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ("image,labels\na,cat;dog\nb,cat\nc,\nb,dog\n", ["labels.csv:3 (cat)", "labels.csv:5 (dog)"]),
        (
            "image,labels\na,cat\nb,cat\nc,dog\nb,background\n",
            ["labels.csv:3 (cat)", "labels.csv:5 (background)"],
        ),
        ("image,cat,dog\na,1,1\nb,1,0\nc,0,1\nb,0,1\n", ["labels.csv:3 (cat)", "labels.csv:5 (dog)"]),
        ("image,label\na,cat\na,dog\nb,cat\nc,dog\n", []),
        ("image,labels\na,cat;dog\nb,cat\nc,\nb,cat\n", []),
    ],
)
def test_lines_of_one_image_that_contradict_each_other(
    folder: Path, caplog: pytest.LogCaptureFixture, text: str, warned: list[str]
) -> None:
    (folder / "labels.csv").write_text(text)
    read_from(folder, "table")
    assert ("1 images have lines that differ" in caplog.text) == bool(warned)
    assert all(place in caplog.text for place in warned)


def test_classes_that_differ_in_capitals_alone_are_told(tmp_path: Path) -> None:
    for name in ("Cat/a.png", "cat/b.png", "dog/c.png"):
        picture(tmp_path / name)
    labels = read_from(tmp_path, "folders")
    assert lines(labels, tmp_path) == [
        "two spellings of a class: 'Cat' and 'cat' differ in capitals alone: write them alike, or rename one"
    ]


def test_folders_of_what_nobody_has_labelled(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("cat /a.png", "dog/b.png", "background/c.png", "unlabeled/d.png", "__MACOSX/e.png"):
        picture(tmp_path / name)
    labels = read_from(tmp_path, "folders")
    assert labels.class_names == ("cat", "dog")
    assert labels.labels == {"cat __a": ("cat",), "dog__b": ("dog",), "background__c": ()}
    assert labels.unlabelled == ["unlabeled__d"]
    assert "1 images" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_annotations_in_other_encodings(folder: Path, encoding: str) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.jpeg", "height": 9, "width": 10}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 4}],
        "categories": [{"id": 4, "name": "cat"}],
    }
    (folder / "coco.json").write_bytes(json.dumps(content).encode(encoding))
    assert read_from(folder, "coco").labels == {"a": ("cat",)}
    (folder / "coco.json").unlink()
    voc = "<annotation><filename>a.jpeg</filename><object><name>cat</name></object></annotation>"
    (folder / "a.xml").write_bytes(
        f'<?xml version="1.0" encoding="{encoding[:6].rstrip("-")}"?>{voc}'.encode(encoding)
    )
    assert read_from(folder, "voc").labels == {"a": ("cat",)}


def test_choices_of_any_name_in_label_studios_short_form(folder: Path) -> None:
    tasks = [
        {"id": 1, "image": "/data/upload/1/a.jpeg", "animal": "cat", "annotator": 1, "comment": "blurred"},
        {"id": 2, "image": "/data/upload/1/b.jpg", "animal": "cat", "annotator": 1, "comment": "fine"},
        {"id": 3, "image": "/data/upload/1/c.png", "animal": "", "annotator": 1, "comment": "at noon"},
    ]
    (folder / "export.json").write_text(json.dumps(tasks))
    labels = read_from(folder, "label_studio")
    assert (labels.class_names, dict(labels.labels)) == (("cat",), {"a": ("cat",), "b": ("cat",), "c": ()})


MISSES = {
    "coco.json": ('{"images": [], "annotations": []}', "has no 'categories', which COCO's files have"),
    "cut.json": ('{"images": [', "not JSON: "),
    "latin.json": (b'{"a": "\xe4"}', "byte 0xe4 is not UTF-8, save the file as UTF-8"),
    "none.json": ("", "not JSON: the file is empty"),
    "tasks.json": ("[]", "an empty list"),
    "other.json": ('{"a": 1}', "no file of COCO, Label Studio or labelme"),
    "table.xlsx": (b"PK\x03\x04", "a spreadsheet, save it as CSV"),
    "table.csv": (b"PK\x03\x04", "a spreadsheet or another zip archive, save it as CSV"),
    "utf16.csv": ("image,labels\na,cat\n".encode("utf-16-le"), "has zero bytes, as UTF-16"),
    "others.csv": ("image,labels\nx1,cat\nx2,dog\n", "names no image of the folder, such as a.jpeg"),
    "a.txt": ("0 0.5 0.5 0.2 0.2\n", "numbers, as YOLO writes them; export the annotations as COCO or VOC"),
}


@pytest.mark.parametrize("name", MISSES)
def test_files_that_may_have_been_meant_as_labels(folder: Path, name: str) -> None:
    content, reason = MISSES[name]
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert detect(folder) is None
    (sentence,) = near_misses(folder)
    assert sentence.startswith(f"{folder / name}: {reason}")


def test_a_folder_without_images_says_so(tmp_path: Path) -> None:
    assert near_misses(tmp_path) == [f"{tmp_path}: there is no image"]
