"""COCO's layout: labels and masks from instance annotations, and every way in which they are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wsss.data import DatasetError, Manifest, coco, read_mask
from wsss.data.coco import chosen
from wsss.data.coco_annotations import Instance
from wsss.data.coco_masks import polygon_pixels, run_length_pixels, semantic_mask, unpacked
from wsss.stages.dataset import prepare
from wsss.study.config import Coco
from wsss.study.sources import source_images, source_tables

pycocotools = pytest.importorskip("pycocotools.mask")

HEIGHT, WIDTH = 12, 16
CATEGORIES = [{"id": 13, "name": "stop sign"}, {"id": 1, "name": "person"}, {"id": 90, "name": "cup"}]
"""Out of order and with gaps: person is mask value 1, stop sign 2, cup 3."""


def rectangle(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    """A polygon that fills whole pixels."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def runs(mask: np.ndarray) -> dict[str, Any]:
    """Run lengths of a mask (H, W), as COCO keeps crowds: counted pixel by pixel."""
    counts, inside = [0], False
    for pixel in mask.T.reshape(-1):
        if bool(pixel) != inside:
            counts.append(0)
            inside = bool(pixel)
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


class Tree:
    """A small COCO as distributed: five images in train, two in val."""

    def __init__(self, root: Path, year: int = 2014) -> None:
        self.root, self.year = root, year
        self.content = {
            "train": self.empty("train", [9, 25, 30, 34, 36]),
            "val": self.empty("val", [42, 73]),
        }
        crowd = np.zeros((HEIGHT, WIDTH), bool)
        crowd[:, 8:] = True
        self.annotate("train", 9, 1, rectangle(0, 0, 10, 10))
        self.annotate("train", 9, 90, rectangle(2, 2, 5, 5))
        self.annotate("train", 25, 13, rectangle(1, 1, 4, 4) + rectangle(8, 8, 10, 10))
        self.annotate("train", 30, 1, runs(crowd), iscrowd=1)
        self.annotate("train", 34, 90, rectangle(0, 0, 3, 3))
        self.annotate("val", 42, 1, runs(crowd), iscrowd=1)
        self.annotate("val", 42, 13, rectangle(6, 2, 12, 6))
        self.annotate("val", 73, 90, rectangle(0, 0, 16, 12))
        self.write()

    def empty(self, split: str, numbers: list[int]) -> dict[str, Any]:
        """Draw a split's images and list them, without annotations."""
        folder = self.root / f"{split}{self.year}"
        folder.mkdir(parents=True)
        images = []
        for number in numbers:
            prefix = f"COCO_{split}2014_" if self.year == 2014 else ""
            name = f"{prefix}{number:012d}.jpg"
            Image.new("RGB", (WIDTH, HEIGHT), (number, 90, 200)).save(folder / name)
            images.append({"id": number, "file_name": name, "height": HEIGHT, "width": WIDTH})
        return {"images": images, "annotations": [], "categories": deepcopy(CATEGORIES)}

    def annotate(self, split: str, image: int, category: int, segmentation: Any, iscrowd: int = 0) -> None:
        """Add an object."""
        annotations = self.content[split]["annotations"]
        annotations.append(
            {
                "id": len(annotations),
                "image_id": image,
                "category_id": category,
                "segmentation": segmentation,
                "iscrowd": iscrowd,
                "area": 1.0,
                "bbox": [0, 0, 1, 1],
            }
        )

    def path(self, split: str) -> Path:
        """The annotations of a split."""
        return self.root / "annotations" / f"instances_{split}{self.year}.json"

    def write(self) -> None:
        """Write the annotations."""
        for split, content in self.content.items():
            self.path(split).parent.mkdir(exist_ok=True)
            self.path(split).write_text(json.dumps(content))

    def config(self, **changes: Any) -> Coco:
        return Coco.model_validate({"kind": "coco", "root": str(self.root), "year": self.year, **changes})

    def read(self, **changes: Any) -> Manifest:
        return prepare(self.config(**changes), self.root / "generated")

    def refusal(self, **changes: Any) -> list[str]:
        """The lines of the error that tell problems."""
        with pytest.raises(DatasetError) as caught:
            self.read(**changes)
        lines = str(caught.value).replace(f"{self.root}/", "").splitlines()
        return [line.strip() for line in lines if line.startswith("    ")]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def masks(manifest: Manifest) -> dict[int, np.ndarray]:
    """The masks by the number in the image's id."""
    return {int(row.id[-12:]): read_mask(row.mask) for row in manifest if row.mask}


# What is read


@pytest.mark.parametrize("year", [2014, 2017])
def test_a_sound_tree(tmp_path: Path, year: int) -> None:
    manifest = Tree(tmp_path, year).read()
    assert manifest.class_names == ("person", "stop sign", "cup")
    assert {(row.split, int(row.id[-12:])): row.labels for row in manifest} == {
        ("train", 9): (0, 2),
        ("train", 25): (1,),
        ("train", 30): (0,),
        ("train", 34): (2,),
        ("val", 42): (0, 1),
        ("val", 73): (2,),
    }  # 36 has no annotation
    assert [row.id for row in manifest] == sorted(row.id for row in manifest)
    assert all((row.height, row.width) == (HEIGHT, WIDTH) for row in manifest)
    assert all(row.image == tmp_path / f"{row.split}{year}" / f"{row.id}.jpg" for row in manifest)


def test_names_with_spaces_survive_the_table(tree: Tree) -> None:
    manifest = tree.read()
    manifest.write(tree.root / "manifest.tsv")
    assert Manifest.read(tree.root / "manifest.tsv") == manifest


def test_masks_of_polygons_and_the_smaller_object_on_top(tree: Tree) -> None:
    found = masks(tree.read())
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:10, :10] = 1
    expected[2:5, 2:5] = 3
    assert np.array_equal(found[9], expected)
    parts = np.zeros((HEIGHT, WIDTH), np.uint8)
    parts[1:4, 1:4] = parts[8:10, 8:10] = 2
    assert np.array_equal(found[25], parts)


def test_crowds_have_their_class_and_lie_below_objects(tree: Tree) -> None:
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[:, 8:] = 1
    assert np.array_equal(masks(tree.read())[30], expected)
    expected[2:6, 6:12] = 2
    assert np.array_equal(masks(tree.read())[42], expected)


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_the_annotations_does_not_matter(tree: Tree, order: int) -> None:
    tree.content["train"]["annotations"][:2] = tree.content["train"]["annotations"][:2][::order]
    tree.write()
    assert masks(tree.read())[9][3, 3] == 3


@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_so_many_training_images_are_scored(tree: Tree, count: int) -> None:
    manifest = tree.read(scored=count)
    scored = {row.id for row in manifest if row.scored}
    assert len(scored) == min(count, 4)
    assert {row.id for row in manifest.split("train") if row.mask} == scored
    assert all(row.mask for row in manifest.split("val"))
    assert len(list((tree.root / "generated").rglob("*.png"))) == len(scored) + 2


def test_a_new_image_moves_few_of_those_that_are_scored() -> None:
    ids = [str(number) for number in range(200)]
    assert len(chosen(ids, 50) - chosen([*ids, "new"], 50)) <= 1


def test_interrupted_masks_go_on(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tree.read()
    written = [row.mask for row in first if row.mask]
    written[0].unlink()
    drawn = []

    def drawing(instances: list[Instance], height: int, width: int) -> np.ndarray:
        drawn.append(instances)
        return semantic_mask(instances, height, width)

    monkeypatch.setattr(coco, "semantic_mask", drawing)
    assert tree.read() == first
    assert len(drawn) == 1
    assert written[0].is_file()


def test_masks_of_other_annotations_are_not_taken(tree: Tree) -> None:
    before = tree.read()
    tree.annotate("train", 34, 1, rectangle(5, 5, 7, 7))
    tree.write()
    after = tree.read()
    assert masks(after)[34][6, 6] == 1
    assert not any(row.mask.exists() for row in before.split("train") if row.mask)
    assert after.split("val") == before.split("val")


# Segmentations


@given(st.integers(1, 30), st.integers(1, 30), st.randoms(use_true_random=False))
def test_run_lengths_are_those_of_coco(height: int, width: int, random: Any) -> None:
    share = random.random()
    mask = np.array([[random.random() < share for _ in range(width)] for _ in range(height)])
    packed = pycocotools.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    for segmentation in (runs(mask), {"size": [height, width], "counts": packed}):
        assert np.array_equal(run_length_pixels(segmentation, height, width), mask)


@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=40))
def test_any_text_is_run_lengths_or_refused(text: str) -> None:
    try:
        pixels = run_length_pixels({"size": [5, 7], "counts": text}, 5, 7)
    except ValueError:
        return
    assert sum(unpacked(text)) == pixels.size == 35


def test_polygons_at_the_border_and_without_area() -> None:
    assert polygon_pixels([[-0.4, -0.4, 4.4, -0.4, 4.4, 3.4, -0.4, 3.4]], 3, 4).all()
    assert not polygon_pixels([[1, 1, 2, 2]], 3, 4).any()
    assert not polygon_pixels([], 3, 4).any()


def test_an_image_without_instances_is_background() -> None:
    assert not semantic_mask([], 3, 4).any()


# What is refused


def spoil(split: str, section: str, number: int, **changes: Any) -> Callable[[Tree], None]:
    """Change keys of a record; `None` removes one."""

    def change(tree: Tree) -> None:
        record = tree.content[split][section][number]
        record |= changes
        for key in [key for key, value in changes.items() if value is None]:
            del record[key]
        tree.write()

    return change


TRAIN = "annotations/instances_train2014.json"
REFUSED: dict[str, tuple[Callable[[Tree], object], str]] = {
    "no such file": (lambda tree: tree.path("train").unlink(), f"{TRAIN}: No such file"),
    "no JSON": (lambda tree: tree.path("train").write_text("{"), f"{TRAIN}: not JSON: "),
    "no text": (lambda tree: tree.path("train").write_bytes(b"\xff\xfe{"), f"{TRAIN}: not JSON: "),
    "deep JSON": (lambda tree: tree.path("train").write_text("[" * 10**6), f"{TRAIN}: not JSON: "),
    "a list": (lambda tree: tree.path("train").write_text("[]"), f"{TRAIN}: expected an object with a list"),
    "no section": (lambda tree: (tree.content["train"].pop("categories"), tree.write()),
                   f"{TRAIN}: expected an object with a list 'categories'"),
    "no key": (spoil("train", "annotations", 1, image_id=None), f"{TRAIN}: annotations[1] has no 'image_id'"),
    "wrong type": (spoil("train", "images", 2, height="twelve"),
                   f"{TRAIN}: images[2] has 'height': 'twelve', expected int"),
    "true for a number": (spoil("train", "images", 2, height=True),
                          f"{TRAIN}: images[2] has 'height': True, expected int"),
    "no object": (lambda tree: (tree.content["train"]["images"].append(7), tree.write()),
                  f"{TRAIN}: images[5] is a int, expected an object"),
    "unknown image": (spoil("train", "annotations", 0, image_id=5),
                      f"{TRAIN}: annotations[0] has the image 5, which is not among the images"),
    "unknown category": (spoil("train", "annotations", 0, category_id=5),
                         f"{TRAIN}: annotations[0] has the category 5, which is not among the categories"),
    "a path": (spoil("train", "images", 0, file_name="../9.jpg"),
               "train2014/9.jpg: is listed in the annotations"),
    "an absolute path": (spoil("train", "images", 0, file_name="/tmp/9.jpg"),
                         "train2014/tmp/9.jpg: is listed in the annotations"),
    "same number": (spoil("train", "images", 1, id=9), f"{TRAIN}: "),
    "same category": (spoil("train", "categories", 1, id=13), f"{TRAIN}: "),
    "same name": (spoil("train", "categories", 1, name="cup"), f"{TRAIN}: categories: a name occurs twice"),
    "no name": (spoil("train", "categories", 1, name="a\tb"), f"{TRAIN}: categories[1] has the name 'a\\tb'"),
    "other classes": (spoil("val", "categories", 1, name="bus"),
                      "the categories of train and val differ: ['bus', 'person']"),
    "same file": (spoil("train", "images", 1, file_name="COCO_train2014_000000000009.jpg"),
                  f"{TRAIN}: COCO_train2014_000000000009.jpg and COCO_train2014_000000000009.jpg"),
    "no annotations": (lambda tree: (tree.content["train"]["annotations"].clear(), tree.write()),
                       f"{TRAIN}: no image has an annotation"),
    "no image file": (lambda tree: (tree.root / "train2014" / "COCO_train2014_000000000009.jpg").unlink(),
                      "train2014/COCO_train2014_000000000009.jpg: is listed in the annotations"),
    "no folder": (lambda tree: (tree.root / "val2014").rename(tree.root / "val"),
                  "val2014: there is no such folder"),
    "broken image": (
        lambda tree: (tree.root / "train2014" / "COCO_train2014_000000000009.jpg").write_bytes(b"no"),
        "train2014/COCO_train2014_000000000009.jpg: not an image",
    ),
    "other size": (spoil("train", "images", 0, height=10**9),
                   "train2014/COCO_train2014_000000000009.jpg: 16 x 12, in the annotations 16 x 1000000000"),
    "text for polygons": (spoil("train", "annotations", 0, segmentation="abc"),
                          f"{TRAIN}: annotations[0]: segmentation is 'abc', expected polygons"),
    "half a point": (spoil("train", "annotations", 0, segmentation=[[1, 2, 3]]),
                     f"{TRAIN}: annotations[0]: segmentation has the polygon [1, 2, 3], expected"),
    "no number": (spoil("train", "annotations", 0, segmentation=[[1, "2"]]),
                  f"{TRAIN}: annotations[0]: segmentation has the polygon [1, '2'], expected"),
    "nan": (spoil("train", "annotations", 0, segmentation=[[0, 0, float("nan"), 4, 4, 4]]),
            f"{TRAIN}: annotations[0]: segmentation has a point far outside the image of 16 x 12"),
    "far away": (spoil("train", "annotations", 0, segmentation=[[0, 0, 1e18, 4, 4, 4]]),
                 f"{TRAIN}: annotations[0]: segmentation has a point far outside"),
    "runs of another size": (spoil("train", "annotations", 3, segmentation={"size": [2, 2], "counts": [4]}),
                             f"{TRAIN}: annotations[3]: segmentation has the size [2, 2], but its image has"),
    "too long runs": (spoil("train", "annotations", 3, segmentation={"size": [12, 16], "counts": [10**12]}),
                      f"{TRAIN}: annotations[3]: segmentation covers 1000000000000 pixels, but"),
    "negative runs": (spoil("train", "annotations", 3, segmentation={"size": [12, 16], "counts": [193, -1]}),
                      f"{TRAIN}: annotations[3]: segmentation has the counts [193, -1], expected lengths"),
    "no runs": (spoil("train", "annotations", 3, segmentation={"counts": [1]}),
                f"{TRAIN}: annotations[3]: segmentation has the size None"),
    "runs cut short": (spoil("train", "annotations", 3, segmentation={"size": [12, 16], "counts": "Y"}),
                       f"{TRAIN}: annotations[3]: segmentation has counts that are cut short"),
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_wrong_is_named(tree: Tree, reason: str) -> None:
    change, beginning = REFUSED[reason]
    change(tree)
    assert any(line.startswith(beginning) for line in tree.refusal())


def test_an_image_in_both_splits_is_refused(tmp_path: Path) -> None:
    tree = Tree(tmp_path, 2017)
    image = tree.content["val"]["images"][0]
    (tmp_path / "val2017" / image["file_name"]).rename(tmp_path / "val2017" / "000000000009.jpg")
    image["file_name"] = "000000000009.jpg"
    tree.write()
    assert "'000000000009' is an image of train and of val" in tree.refusal()


@pytest.mark.parametrize(
    ("section", "number", "changes"),
    [
        ("images", 0, {"file_name": 7}),
        ("images", 0, {"id": "nine"}),
        ("images", 1, {"height": [12]}),
        ("categories", 1, {"name": None}),
        ("categories", 1, {"id": None}),
        ("annotations", 0, {"image_id": 5}),
    ],
)
def test_a_bad_record_is_one_line(tree: Tree, section: str, number: int, changes: dict[str, Any]) -> None:
    """What refers to it is not told again, nor a split that is left without annotations."""
    spoil("val", section, 0, **({"id": 41} if section == "images" else {}))
    spoil("train", section, number, **changes)(tree)
    (line,) = tree.refusal()
    assert line.startswith(f"{TRAIN}: {section}[{number}] ")


def without_masks(manifest: Manifest) -> list[Any]:
    """The rows without the paths of masks, which other annotations change."""
    return [replace(row, mask=None) for row in manifest.rows]


def test_numbers_may_be_texts_and_sizes_may_be_missing(tree: Tree) -> None:
    before = tree.read()
    content = tree.content["train"]
    for image in content["images"]:
        image["id"] = str(image["id"])
        del image["height"]
        image["width"] = None
    for annotation in content["annotations"]:
        annotation["image_id"] = float(annotation["image_id"])
    for category in content["categories"]:
        category["id"] = str(category["id"])
    tree.write()
    after = tree.read()
    assert without_masks(after) == without_masks(before)
    for row in after.split("train"):
        if row.mask is not None:
            assert read_mask(row.mask).shape == (row.height, row.width)


def test_without_categories_annotations_are_not_wrong_too(tree: Tree) -> None:
    tree.content["train"]["categories"].clear()
    tree.write()
    assert f"{TRAIN}: 0 categories, expected 1 … 254" in tree.refusal()
    assert not any("annotations[" in line for line in tree.refusal())


def test_where_a_file_was_for_the_annotator_does_not_matter(tree: Tree) -> None:
    before = tree.read()
    for image in tree.content["train"]["images"]:
        image["file_name"] = f"C:\\photos\\..\\{image['file_name']}"
    tree.write()
    assert without_masks(tree.read()) == without_masks(before)


def test_file_names_may_have_folders(tree: Tree) -> None:
    before = tree.read()
    for split in ("train", "val"):
        for image in tree.content[split]["images"]:
            image["file_name"] = f"{split}2014/{image['file_name']}"
    tree.write()
    after = tree.read()
    assert [replace(row, mask=None) for row in after] == [replace(row, mask=None) for row in before]
    inner = tree.root / "val2014" / "day 1" / "a.jpg"
    inner.parent.mkdir()
    (tree.root / "val2014" / "COCO_val2014_000000000042.jpg").rename(inner)
    tree.content["val"]["images"][0]["file_name"] = "day 1\\a.jpg"
    tree.write()
    assert {row.id: row.image for row in tree.read().split("val")}["day 1__a"] == inner


@pytest.mark.parametrize("outline", [None, []])
def test_images_whose_objects_have_boxes_alone_are_not_scored(
    tree: Tree, outline: Any, caplog: pytest.LogCaptureFixture
) -> None:
    spoil("val", "annotations", 1, segmentation=outline)(tree)
    rows = {int(row.id[-12:]): row for row in tree.read()}
    assert rows[42].labels == (0, 1)
    assert rows[42].mask is None
    assert rows[73].mask is not None
    assert "1 of 2 images have objects without outline" in caplog.text


def test_an_exporters_background_is_no_class(tree: Tree) -> None:
    before = tree.read()
    for split in ("train", "val"):
        tree.content[split]["categories"].append({"id": 0, "name": "_background_"})
    tree.write()
    after = tree.read()
    assert after.class_names == before.class_names
    assert [row.labels for row in after] == [row.labels for row in before]


def test_all_problems_are_told_at_once(tree: Tree) -> None:
    spoil("train", "annotations", 0, image_id=5)(tree)
    spoil("val", "annotations", 0, category_id=None)(tree)
    assert len(tree.refusal()) == 2


def test_without_pycocotools_it_says_how_to_install_it(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coco, "find_spec", lambda name: None)
    with pytest.raises(DatasetError, match=r"pip install '\.\[coco\]'"):
        tree.read()


# What Snakemake watches


def test_snakemake_watches_annotations_and_images(tree: Tree) -> None:
    assert source_tables(tree.config()) == [str(tree.path("train")), str(tree.path("val"))]
    before = source_images(tree.config())
    assert before.startswith("7 files")
    (tree.root / "val2014" / "new.jpg").touch()
    assert source_images(tree.config()) != before
    tree.path("val").unlink()
    assert source_tables(tree.config()) == [str(tree.path("train"))]


@pytest.mark.slow
def test_the_workflow_prepares_it_and_plans_all_stages(tree: Tree, new_workflow: Any) -> None:
    new_workflow.configure(dataset={"kind": "coco", "root": str(tree.root), "scored": 2})
    new_workflow.snakemake("prepare_dataset")
    drawn = list((new_workflow.results / "dataset" / "coco").rglob("*.png"))
    assert len(drawn) == 4
    assert {"train_classifier", "random_walk", "score_segmentation"} <= new_workflow.planned()
    assert "prepare_dataset" not in new_workflow.planned()
    assert not any(mask.name in new_workflow.snakemake("--dry-run") for mask in drawn)
    tree.annotate("train", 34, 1, rectangle(5, 5, 7, 7))
    tree.write()
    assert "prepare_dataset" in new_workflow.planned()
