"""Masks for annotation tools, and back."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw
from pycocotools.coco import COCO
from scipy.ndimage import binary_erosion
from shapely import Polygon

from wsss.data.exchange.coco import write_coco
from wsss.data.exchange.cvat import read_cvat, write_cvat
from wsss.data.exchange.labelme import read_labelme, write_labelme
from wsss.data.exchange.outlines import draw, outlines, polygon
from wsss.data.scenes import draw_scene
from wsss.method.labels import IGNORE

NAMES = ("a", "b", "c", "d", "e")


def scene(seed: int) -> np.ndarray:
    return draw_scene(np.random.default_rng(seed), 160)[1]


SCENES = {seed: scene(seed) for seed in range(3)}


def ring() -> np.ndarray:
    """A ring with two holes, one of which holds another class."""
    mask = np.zeros((40, 50), np.uint8)
    mask[5:35, 5:45] = 1
    mask[10:20, 10:18] = 0
    mask[12:28, 25:38] = 2
    return mask


def near_borders(mask: np.ndarray) -> np.ndarray:
    """Pixels with another value within a pixel of them."""
    inner = np.zeros(mask.shape, bool)
    for value in np.unique(mask):
        inner |= binary_erosion(mask == value, np.ones((3, 3)), border_value=1)
    return ~inner


def assert_same_but_at_borders(found: np.ndarray, expected: np.ndarray) -> None:
    different = found != expected
    assert not (different & ~near_borders(expected)).any()
    assert different.mean() < 0.01


# Outlines


@given(
    arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2, 255])
    )
)
@settings(max_examples=150, deadline=None)
def test_outlines_of_all_corners_give_the_mask_back(mask: np.ndarray) -> None:
    found = outlines(mask, tolerance=0)
    shapes = [Polygon(outline.points) for outline in found]
    assert all(shape.is_valid for shape in shapes)
    assert not any(outline.value == 0 for outline in found)
    values = [outline.value for outline in found]
    np.testing.assert_array_equal(draw(zip(values, shapes, strict=True), mask.shape), mask)
    assert sum(shape.area for shape in shapes) == pytest.approx((mask > 0).sum())


@pytest.mark.parametrize("seed", SCENES)
def test_simple_outlines_move_borders_by_less_than_a_pixel(seed: int) -> None:
    mask = SCENES[seed]
    found, exact = outlines(mask), outlines(mask, tolerance=0)
    shapes = [(outline.value, polygon(outline.points)) for outline in found]
    assert_same_but_at_borders(draw(shapes, mask.shape), mask)
    assert sum(len(of.points) for of in found) < 0.7 * sum(len(of.points) for of in exact)


def test_regions_that_touch_have_no_gap_between_them() -> None:
    y, x = np.mgrid[:60, :60]
    mask = np.where(x + 0.3 * y > 40, 2, 1).astype(np.uint8)
    shapes = [(outline.value, polygon(outline.points)) for outline in outlines(mask)]
    assert (draw(shapes, mask.shape) > 0).all()


def test_a_region_with_holes_is_cut_into_parts_of_one_group() -> None:
    found = outlines(ring(), tolerance=0)
    groups = {outline.group for outline in found if outline.value == 1}
    assert len(groups) == 1
    assert sum(outline.value == 1 for outline in found) > 1
    assert not Polygon(found[0].points).interiors


def test_a_polygon_that_crosses_itself_is_filled_by_even_and_odd() -> None:
    bow = polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    drawn = draw([(1, bow)], (10, 10))
    assert drawn[5, 0] == 1
    assert drawn[5, 9] == 1
    assert drawn[0, 5] == 0


# COCO


@pytest.mark.parametrize("seed", SCENES)
def test_coco_run_lengths_are_exact(tmp_path: Path, seed: int) -> None:
    mask = np.where(SCENES[seed] == IGNORE, 0, SCENES[seed])
    write_coco(tmp_path / "a.json", [("x.jpg", mask)], NAMES)
    np.testing.assert_array_equal(by_coco(tmp_path / "a.json", mask.shape), mask)


def test_coco_polygons_are_exact_but_at_borders(tmp_path: Path) -> None:
    for mask in (ring(), np.where(SCENES[1] == IGNORE, 0, SCENES[1])):
        write_coco(tmp_path / "a.json", [("x.jpg", mask)], NAMES, polygons=True)
        assert_same_but_at_borders(by_coco(tmp_path / "a.json", mask.shape), mask)


def by_coco(path: Path, size: tuple[int, int]) -> np.ndarray:
    """What COCO's own code reads."""
    coco = COCO(path)
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == list(NAMES)
    found = np.zeros(size, np.uint8)
    for annotation in coco.loadAnns(coco.getAnnIds(coco.getImgIds())):
        inside = coco.annToMask(annotation).astype(bool)
        found[inside] = annotation["category_id"]
        left, top, width, _ = annotation["bbox"]
        rows, columns = np.nonzero(inside)
        assert abs(inside.sum() - annotation["area"]) <= 0.2 * inside.sum() + 2
        assert abs(rows.min() - top) <= 1
        assert abs(columns.max() + 1 - left - width) <= 1
    return found


def test_coco_instances_are_connected_regions(tmp_path: Path) -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[1:3, 1:3] = mask[6:9, 6:9] = 2
    write_coco(tmp_path / "a.json", [("one.jpg", mask), ("two.png", mask.T)], NAMES)
    content = json.loads((tmp_path / "a.json").read_text())
    assert [image["file_name"] for image in content["images"]] == ["one.jpg", "two.png"]
    assert [(one["image_id"], one["area"]) for one in content["annotations"]] == [
        (1, 4),
        (1, 9),
        (2, 4),
        (2, 9),
    ]
    assert len({one["id"] for one in content["annotations"]}) == 4


# labelme


@pytest.mark.parametrize("mask", [*SCENES.values(), ring()], ids=[*SCENES, "ring"])
def test_labelme_gives_masks_back(tmp_path: Path, mask: np.ndarray) -> None:
    path = tmp_path / "json" / "x.json"
    write_labelme(path, mask, tmp_path / "photos" / "x.jpg", NAMES)
    found = read_labelme(path, mask.shape, NAMES)
    assert_same_but_at_borders(found.mask, mask)
    assert found.unchanged


def test_labelme_itself_would_fill_the_same_pixels(tmp_path: Path) -> None:
    """It fills polygons with Pillow, borders included."""
    mask = ring()
    write_labelme(tmp_path / "x.json", mask, tmp_path / "x.jpg", NAMES)
    content = json.loads((tmp_path / "x.json").read_text())
    drawn = Image.new("L", mask.shape[::-1])
    for shape in content["shapes"]:
        points = [tuple(point) for point in shape["points"]]
        ImageDraw.Draw(drawn).polygon(points, outline=1, fill=1)
    different = (np.asarray(drawn) > 0) != (mask > 0)
    assert not (different & ~near_borders(mask)).any()


def test_labelme_finds_the_image_and_keeps_the_values(tmp_path: Path) -> None:
    mask = np.full((4, 5), IGNORE, np.uint8)
    write_labelme(tmp_path / "json" / "sub" / "x.json", mask, tmp_path / "photos" / "x.jpg", NAMES)
    content = json.loads((tmp_path / "json" / "sub" / "x.json").read_text())
    assert content["imagePath"] == "../../photos/x.jpg"
    assert (content["imageHeight"], content["imageWidth"], content["imageData"]) == (4, 5, None)
    assert [shape["label"] for shape in content["shapes"]] == ["unknown"]
    assert (read_labelme(tmp_path / "json" / "sub" / "x.json", (4, 5), NAMES).mask == IGNORE).all()


def labelme(tmp_path: Path, *shapes: dict[str, Any], size: tuple[int, int] = (20, 30)) -> Path:
    content = {"shapes": list(shapes), "imageHeight": size[0], "imageWidth": size[1], "version": "5.8"}
    (tmp_path / "x.json").write_text(json.dumps(content))
    return tmp_path / "x.json"


def test_shapes_that_people_draw(tmp_path: Path) -> None:
    stamp = io.BytesIO()
    Image.fromarray(np.array([[255, 0], [255, 255]], np.uint8)).save(stamp, "PNG")
    path = labelme(
        tmp_path,
        {"label": "a", "points": [[2, 3], [8, 6]], "shape_type": "rectangle"},
        {"label": "b", "points": [[20, 10], [23, 10]], "shape_type": "circle"},
        {"label": "c", "points": [[0, 15], [1, 16]], "shape_type": "mask",
         "mask": base64.b64encode(stamp.getvalue()).decode()},
        {"label": "_background_", "points": [[2, 3], [4, 3], [4, 6], [2, 6]], "shape_type": "polygon"},
        {"label": "__ignore__", "points": [[28, 0], [30, 0], [30, 20], [28, 20]]},
    )  # fmt: skip
    mask, unchanged = read_labelme(path, (20, 30), NAMES)
    assert not unchanged
    expected = np.zeros((20, 30), np.uint8)
    expected[3:6, 4:8] = 1
    expected[:, 28:] = IGNORE
    expected[15, 0] = expected[16, :2] = 3
    y, x = np.mgrid[:20, :30] + 0.5
    expected[(y - 10) ** 2 + (x - 20) ** 2 < 9] = 2
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (
            {"label": "z", "points": [[0, 0], [1, 0], [1, 1]]},
            "unknown class 'z', expected a, b, c, d, e, unknown",
        ),
        ({"label": "a", "points": [[0, 0], [1, 0]]}, "a polygon of 2 points"),
        ({"label": "a", "points": [[0, 0]], "shape_type": "circle"}, "a circle of 1 points"),
        ({"label": "a", "points": [[0, 0], [9, 9]], "shape_type": "linestrip"}, "shape_type"),
        ({"label": "a", "points": "1, 2"}, "points"),
        ({"label": "a", "points": [[0, 0], [9, 9]], "shape_type": "mask"}, "without its picture"),
        ({"label": "a", "points": [[0, 0], [9, 9]], "shape_type": "mask", "mask": "AAAA"}, "cannot identify"),
    ],
)
def test_shapes_that_labelme_files_may_not_have(tmp_path: Path, shape: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"x\.json: ") as error:
        read_labelme(labelme(tmp_path, shape), (20, 30), NAMES)
    assert said in str(error.value)


def test_labelme_files_of_another_size_or_kind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="30 x 20 pixels, but its image has 31 x 20"):
        read_labelme(labelme(tmp_path), (20, 31), NAMES)
    with pytest.raises(ValueError, match="100000 x 100000 pixels, but its image has 31 x 20"):
        read_labelme(labelme(tmp_path, size=(100_000, 100_000)), (20, 31), NAMES)
    for text in ("", "[]", '{"shapes": 1}', "{"):
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(ValueError, match=r"x\.json: "):
            read_labelme(tmp_path / "x.json", (20, 30), NAMES)


# CVAT


def test_cvat_gives_masks_back(tmp_path: Path) -> None:
    masks = {**{f"{seed}": mask for seed, mask in SCENES.items()}, "ring": ring()}
    write_cvat(tmp_path / "a.xml", ((f"{name}.jpg", mask) for name, mask in masks.items()), NAMES)
    sizes = {name: mask.shape for name, mask in masks.items()}
    found = dict(read_cvat(tmp_path / "a.xml", sizes, NAMES))
    assert list(found) == list(masks)
    for name, mask in masks.items():
        assert_same_but_at_borders(found[name], mask)


CVAT = """<annotations><version>1.1</version><meta><task><labels/></task></meta>
<image id="0" name="train/x.jpg" width="6" height="4">
  <box label="a" xtl="0" ytl="0" xbr="4" ybr="4" z_order="1"/>
  <mask label="b" rle="1,2,1" left="1" top="1" width="2" height="2" z_order="2"/>
  <polygon label="c" points="0,0;6,0;6,4;0,4" z_order="0"/>
</image>
<image id="1" name="untouched.jpg" width="6" height="4"/>
<image id="2" name="of_val.jpg" width="9" height="9"><box label="?" xtl="0" ytl="0" xbr="1" ybr="1"/></image>
</annotations>"""


def test_shapes_of_cvat_by_their_order(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(CVAT)
    ((name, mask),) = read_cvat(tmp_path / "a.xml", {"x": (4, 6), "untouched": (4, 6)}, NAMES)
    expected = np.full((4, 6), 3, np.uint8)
    expected[:, :4] = 1
    expected[1, 2] = expected[2, 1] = 2
    assert name == "x"
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('label="a"', 'label="q"', "unknown class 'q'"),
        ('rle="1,2,1"', 'rle="1,2,99999999999"', "a mask of 4 pixels whose runs have"),
        ('rle="1,2,1"', 'rle="5,-2,1"', "a mask of 4 pixels whose runs have"),
        ("<box ", "<ellipse ", "a shape <ellipse>"),
        ('xtl="0"', 'xtl="nan"', "a rectangle of 2 points, expected two finite pairs"),
        ("<box ", '<box rotation="nan" ', "a box with the rotation nan, expected degrees"),
        ('width="6" height="4">', 'width="7" height="4">', "7 x 4 pixels, but its image has 6 x 4"),
        ('xtl="0"', 'xtl="left"', "could not convert"),
        ('points="0,0;6,0;6,4;0,4"', 'points="0,0;6,0"', "a polygon of 2 points"),
    ],
)
def test_shapes_that_cvat_files_may_not_have(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "a.xml").write_text(CVAT.replace(old, new, 1))
    ((name, problem),) = read_cvat(tmp_path / "a.xml", {"x": (4, 6)}, NAMES)
    assert name == "x"
    assert isinstance(problem, ValueError)
    assert "a.xml: image 'train/x.jpg': " in str(problem)
    assert said in str(problem)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<annotations>",
        "<rss/>",
        '<!DOCTYPE a [<!ENTITY b "c">]><annotations>&b;</annotations>',
    ],
)
def test_files_that_are_none_of_cvats(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(ValueError, match=r"a\.xml: "):
        list(read_cvat(tmp_path / "a.xml", {}, NAMES))


@pytest.mark.parametrize("turn", [90, 450])
def test_turned_boxes_of_cvat(tmp_path: Path, turn: int) -> None:
    """A box of 6 x 2 pixels around (5, 5) stands upright after a quarter of a turn."""
    box = f'<box label="a" xtl="2" ytl="4" xbr="8" ybr="6" rotation="{turn}"/>'
    text = f'<annotations><image name="x.jpg" width="10" height="10">{box}</image></annotations>'
    (tmp_path / "a.xml").write_text(text)
    ((_, found),) = read_cvat(tmp_path / "a.xml", {"x": (10, 10)}, ("a",))
    expected = np.zeros((10, 10), np.uint8)
    expected[2:8, 4:6] = 1
    np.testing.assert_array_equal(found, expected)
