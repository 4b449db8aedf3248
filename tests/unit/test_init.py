"""`wsss init`: from photographs as people have them to a study whose data set is the one they meant."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from wsss.__main__ import app
from wsss.data.scenes import draw_scene
from wsss.planning.new_study import study_name
from wsss.planning.speed import Speed
from wsss.stages.dataset import prepare
from wsss.study.config import Study, read_study, recipe_names

LABELS = {
    "a1": ("black cat",), "a2": ("black cat", "dog"), "a3": ("dog",), "a4": ("dog", "stop sign"),
    "b1": (), "b2": ("stop sign",), "b3": ("black cat",), "b4": ("dog",), "b5": ("stop sign",),
    "c1": ("dog",), "c2": (), "c3": ("black cat",),
}  # fmt: skip
NAMES = ("black cat", "dog", "stop sign")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with nothing but photographs in it, on a machine of known speed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "wsss.planning.estimate.measure", lambda networks, *_: Speed(dict.fromkeys(networks, 0.1), 1.0)
    )
    photos = tmp_path / "My photos"
    photos.mkdir()
    for number, name in enumerate(LABELS):
        scene, _ = draw_scene(np.random.default_rng(number), 64)
        Image.fromarray(scene).save(photos / f"{name}.jpg")
    return photos


def wsss(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", *arguments])


def made(*arguments: str) -> str:
    """What the command says of a study that it writes."""
    result = wsss("My photos", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def labels_of(study: Study) -> dict[str, tuple[str, ...]]:
    """The labels that the stages of a study will see, by the last part of the image's id."""
    manifest = prepare(study.dataset, Path("generated"))
    names = manifest.class_names
    return {row.id.rpartition("__")[2]: tuple(names[label] for label in row.labels) for row in manifest}


def study() -> Study:
    return read_study("study.yaml")


# Layouts


def write_csv(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def one_row_per_image(folder: Path) -> None:
    rows = [[f"{name}.jpg", ";".join(labels)] for name, labels in LABELS.items()]
    write_csv(folder / "labels.csv", [["file", "labels"], *rows])


def one_row_per_label(folder: Path) -> None:
    rows = [[name, label] for name, labels in LABELS.items() for label in labels or ("none",)]
    write_csv(folder / "annotations.csv", [["image", "label"], *rows])


def one_column_per_class(folder: Path) -> None:
    rows = [[name, *(int(label in labels) for label in NAMES)] for name, labels in LABELS.items()]
    write_csv(folder / "table.csv", [["filename", *NAMES], *rows])


def coco(folder: Path) -> None:
    images = [
        {"id": n, "file_name": f"{name}.jpg", "height": 64, "width": 64} for n, name in enumerate(LABELS)
    ]
    boxes = [
        {
            "id": 10 * n + k,
            "image_id": n,
            "category_id": NAMES.index(label) + 1,
            "bbox": [1, 1, 9, 9],
            "area": 81,
        }
        for n, labels in enumerate(LABELS.values())
        for k, label in enumerate(labels)
    ]
    categories = [{"id": n, "name": name} for n, name in enumerate(NAMES, start=1)]
    content = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))


def voc(folder: Path) -> None:
    for name, labels in LABELS.items():
        objects = "".join(
            f"<object><name>{label}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>"
            "</bndbox></object>"
            for label in labels
        )
        (folder / f"{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename>{objects}</annotation>"
        )


def labelme(folder: Path) -> None:
    for name, labels in LABELS.items():
        shapes = [{"label": label, "points": [[1, 1], [9, 9]], "shape_type": "rectangle"} for label in labels]
        content = {"version": "5.0", "imagePath": f"{name}.jpg", "shapes": shapes, "imageData": None}
        (folder / f"{name}.json").write_text(json.dumps(content))


def label_studio(folder: Path) -> None:
    tasks = [
        {
            "id": n,
            "data": {"image": f"/data/upload/1/{name}.jpg"},
            "annotations": [
                {"result": [{"type": "choices", "from_name": "choice", "value": {"choices": list(labels)}}]}
            ],
        }
        for n, (name, labels) in enumerate(LABELS.items())
    ]
    (folder / "export.json").write_text(json.dumps(tasks))


LAYOUTS = [one_row_per_image, one_row_per_label, one_column_per_class, coco, voc, labelme, label_studio]


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
@pytest.mark.parametrize("images", [".", "images", "2019/holidays"])
def test_a_study_has_the_labels_of_the_layout(
    folder: Path, layout: Callable[[Path], None], images: str
) -> None:
    if images != ".":
        (folder / images).mkdir(parents=True)
        for path in folder.glob("*.jpg"):
            path.rename(folder / images / path.name)
    layout(folder)
    said = made()
    assert "12 images with labels of 3 classes" in said
    assert labels_of(study()) == LABELS
    assert study().name == "my_photos"


def test_one_folder_per_class(folder: Path) -> None:
    for name, labels in LABELS.items():
        for label in labels or ("background",):
            (folder / label).mkdir(exist_ok=True)
            shutil.copy(folder / f"{name}.jpg", folder / label / f"{name}.jpg")
        (folder / f"{name}.jpg").unlink()
    made()
    assert labels_of(study()) == LABELS
    assert not list(Path().glob("my_photos_*")), "the folders are the labels"


def test_the_splits_of_a_layout_are_kept(folder: Path) -> None:
    for n, (name, labels) in enumerate(LABELS.items()):
        place = folder / ("val" if n % 4 == 0 else "train") / (labels[0] if labels else "none")
        place.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.jpg").rename(place / f"{name}.jpg")
    made()
    manifest = prepare(study().dataset, Path("generated"))
    assert {row.id.rpartition("__")[2] for row in manifest.split("val")} == {"a1", "b1", "b5"}


def test_labels_in_our_own_form_stay_where_they_are(folder: Path) -> None:
    one_row_per_image(folder)
    (folder / "classes.txt").write_text("dog\nstop sign\nblack cat\n")
    made()
    assert study().dataset.labels == "labels.csv"
    assert prepare(study().dataset, Path("generated")).class_names == ("dog", "stop sign", "black cat")
    assert [path.name for path in Path().iterdir() if path.is_file()] == ["study.yaml"]


def test_masks_are_found(folder: Path) -> None:
    one_row_per_image(folder)
    (folder / "masks").mkdir()
    for name, labels in LABELS.items():
        with Image.open(folder / f"{name}.jpg") as image:
            mask = np.zeros((image.height, image.width), np.uint8)
        for row, label in enumerate(labels):
            mask[10 * row : 10 * row + 10] = NAMES.index(label) + 1
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
    made()
    assert study().dataset.masks == "masks"
    assert all(row.mask for row in prepare(study().dataset, Path("generated")))


# The file


def test_the_study_is_data_and_a_recipe_in_block_style(folder: Path) -> None:
    one_row_per_image(folder)
    made("--recipe", "quick-cpu")
    text = Path("study.yaml").read_text()
    assert "{" not in text
    assert len(text.splitlines()) <= 12
    assert set(yaml.safe_load(text)) == {"name", "recipe", "dataset"}
    assert study().recipe == "quick-cpu"


def test_lists_lie_beside_the_study(folder: Path) -> None:
    coco(folder)
    Path("studies").mkdir()
    made("--out", "studies/mine.yaml")
    files = {path.name for path in Path("studies").iterdir()}
    assert files == {"mine.yaml", "mine_labels.csv", "mine_classes.txt"}
    assert labels_of(read_study("studies/mine.yaml")) == LABELS
    assert read_study("studies/mine.yaml").name == "mine"


def test_a_link_to_the_photographs(folder: Path) -> None:
    coco(folder)
    far = folder.parent / "far" / "away"
    far.parent.mkdir()
    folder.rename(far)
    folder.symlink_to(far)
    made()
    assert labels_of(study()) == LABELS


@pytest.mark.parametrize(
    ("folder_name", "name"),
    [("My photos", "my_photos"), ("Tiere 2019!", "tiere_2019"), ("été", "t"), ("写真", "photographs")],
)
def test_names_of_studies(folder_name: str, name: str) -> None:
    assert study_name(Path(folder_name)) == name
    Study(name=name)


def test_an_earlier_study_is_kept(folder: Path) -> None:
    one_row_per_image(folder)
    made()
    Path("study.yaml").write_text("name: edited")
    refused = wsss("My photos")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("study.yaml: is there already")
    assert Path("study.yaml").read_text() == "name: edited"
    made("--force")
    assert study().name == "my_photos"


def test_lists_of_an_earlier_study_are_kept(folder: Path) -> None:
    coco(folder)
    made()
    corrected = Path("my_photos_labels.csv").read_text().replace("black cat", "dog")
    Path("my_photos_labels.csv").write_text(corrected)
    Path("study.yaml").rename("first.yaml")
    refused = wsss("My photos", "--recipe", "quick-cpu")
    assert refused.exit_code == 2
    assert "\nmy_photos_labels.csv: is there already" in f"\n{refused.stderr}"
    assert refused.stderr.rstrip().endswith(
        "wsss init 'My photos' --out study.yaml --recipe quick-cpu --force"
    )
    assert Path("my_photos_labels.csv").read_text() == corrected
    assert not Path("study.yaml").exists()


def test_two_studies_of_one_folder_share_nothing(folder: Path) -> None:
    coco(folder)
    made()
    made("--out", "second.yaml")
    first, second = study(), read_study("second.yaml")
    assert first.name != second.name
    assert first.dataset.labels != second.dataset.labels
    assert labels_of(first) == labels_of(second) == LABELS


def test_results_of_that_name_are_mentioned(folder: Path) -> None:
    one_row_per_image(folder)
    assert "is there already" not in made()
    Path("results/my_photos").mkdir(parents=True)
    assert "warning: results/my_photos/ is there already" in made("--force")


# What it says


def test_counts_sizes_commands_and_the_time_it_takes(folder: Path) -> None:
    one_row_per_image(folder)
    Image.new("RGB", (100, 40), "red").save(folder / "a1.jpg")
    lines = made().splitlines()
    assert lines[0].endswith("from a table of labels; longest side 64 to 100 px, median 64")
    rows = [line.rsplit(maxsplit=2) for line in lines[2:7]]
    assert {name.strip(): int(train) + int(val) for name, train, val in rows} == {
        "black cat": 4,
        "dog": 5,
        "stop sign": 3,
        "none of them": 2,
        "images": 12,
    }
    assert any("on this machine" in line for line in lines)
    (recipe,) = (line for line in lines if line.startswith("recipe "))
    assert all(name in recipe for name in recipe_names())
    assert lines[-1].endswith("wsss run")


def test_warnings(folder: Path) -> None:
    one_row_per_image(folder)
    split = {name: "val" if name.startswith("c") else "train" for name in LABELS}
    rows = [[name, ";".join(labels), split[name]] for name, labels in LABELS.items()]
    write_csv(folder / "labels.csv", [["file", "labels", "split"], *rows])
    shutil.copy(folder / "a3.jpg", folder / "c1.jpg")
    (folder / "b4.jpg").write_bytes(b"broken")
    Image.new("RGB", (64, 64)).save(folder / "unlabelled.jpg")
    said = [line.removeprefix("warning: ") for line in made().splitlines() if line.startswith("warning: ")]
    assert any(text.startswith("few training images: black cat") for text in said)
    assert any(
        re.fullmatch(r"not in val, .* on: stop sign; raise dataset.holdout, or .*", text) for text in said
    )
    assert any(text.startswith("1 images of val look like images of train (c1 and a3)") for text in said)
    assert "1 images cannot be read (b4)" in said
    assert any(text.startswith("1 images have no label (unlabelled)") for text in said)


# What is no study


@pytest.mark.parametrize("content", ["nothing", "photographs"])
def test_a_folder_without_labels(folder: Path, content: str) -> None:
    if content == "nothing":
        shutil.rmtree(folder)
        folder.mkdir()
    refused = wsss("My photos")
    assert refused.exit_code == 2
    assert "My photos: found no images with labels, expected one folder of images per class" in refused.stderr
    assert not Path("study.yaml").exists()


@pytest.mark.parametrize("name", ["gone", "My photos/a1.jpg"])
def test_no_folder(name: str) -> None:
    assert "expected a folder of photographs" in wsss(name).stderr


def test_labels_with_mistakes_are_listed(folder: Path) -> None:
    rows = [["a1.jpg", "dog"], ["zebra.jpg", "dog"], ["a2.jpg", "dog"]]
    write_csv(folder / "labels.csv", [["image", "labels"], *rows])
    refused = wsss("My photos")
    assert refused.exit_code == 2
    assert "zebra.jpg" in refused.stderr
    assert not Path("study.yaml").exists()


def test_an_unknown_recipe(folder: Path) -> None:
    one_row_per_image(folder)
    refused = wsss("My photos", "--recipe", "cppu")
    assert refused.exit_code == 2
    assert "did you mean 'cpu'?" in refused.stderr
    assert not Path("study.yaml").exists()
