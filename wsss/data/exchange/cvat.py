"""CVAT's files, "CVAT for images 1.1": one XML with the shapes of all images."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from shapely import Geometry
from shapely.affinity import rotate

from wsss.data.exchange.outlines import (
    Mask,
    draw,
    names_by_value,
    other_size,
    outlines,
    pixels,
    polygon,
    rectangle,
    value_of,
)
from wsss.data.images import voc_palette
from wsss.results import replacing
from wsss.study.regular import regular_bytes

VERSION = "1.1"


def write_cvat(path: Path, masks: Iterable[tuple[str, Mask]], class_names: Sequence[str]) -> None:
    """Write the outlines of masks for CVAT, which finds the image of each by its name.

    Args:
        path: the file, `.xml`.
        masks: name of the image file as CVAT has it, and mask (H, W) of 0 … C and 255.
        class_names: the C names.
    """
    names = names_by_value(class_names)
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = VERSION
    labels = ET.SubElement(ET.SubElement(ET.SubElement(root, "meta"), "task"), "labels")
    for value, name in names.items():
        label = ET.SubElement(labels, "label")
        ET.SubElement(label, "name").text = name
        ET.SubElement(label, "color").text = "#{:02x}{:02x}{:02x}".format(*voc_palette()[value])
    for number, (name, mask) in enumerate(masks):
        height, width = map(str, mask.shape)
        image = ET.SubElement(root, "image", id=str(number), name=name, width=width, height=height)
        for outline in outlines(mask):
            points = ";".join(f"{x:.2f},{y:.2f}" for x, y in outline.points)
            facts = {"label": names[outline.value], "source": "manual", "occluded": "0", "points": points}
            ET.SubElement(image, "polygon", facts | {"z_order": "0", "group_id": str(outline.group)})
    ET.indent(root)
    with replacing(path) as temporary, temporary.open("wb") as file:
        ET.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)


def read_cvat(
    path: Path, sizes: Mapping[str, tuple[int, int]], class_names: Sequence[str]
) -> Iterator[tuple[str, Mask | ValueError]]:
    """Read the masks that a file of CVAT's describes: polygons, boxes and masks, by their z-order.

    Images without any shape have not been worked on, and those that are not asked for may belong to another
    split; both are left out.

    Args:
        path: the file, `.xml`.
        sizes: (H, W) by the id of the images that are asked for: the name that CVAT has for the file,
            without extension, with its folders or without.
        class_names: those of classes 1 … C.

    Yields:
        id and mask (H, W), or what is wrong with it.

    Raises:
        ValueError: the file is damaged or none of CVAT's; the message names it.
    """
    try:
        root = fromstring(regular_bytes(path))
    except (ET.ParseError, DefusedXmlException, OSError, LookupError) as error:  # an unknown encoding
        raise ValueError(f"{path}: not readable as XML: {error}") from error
    if root is None or root.tag != "annotations":
        raise ValueError(f'{path}: no file of "CVAT for images {VERSION}", whose root is <annotations>')
    for image in root.iter("image"):
        name = PurePosixPath(image.get("name", "")).with_suffix("")
        image_id = next((found for found in (str(name), name.name) if found in sizes), None)
        if image_id is not None and len(image):
            try:
                yield image_id, _mask(image, sizes[image_id], class_names)
            except ValueError as error:
                yield image_id, ValueError(f"{path}: image {image.get('name')!r}: {error}")


def _mask(image: ET.Element, size: tuple[int, int], class_names: Sequence[str]) -> Mask:
    found = _number(image, "height"), _number(image, "width")
    if found != size:
        raise ValueError(other_size(found, size))
    shapes = sorted(image, key=lambda shape: int(shape.get("z_order", "0")))
    return draw(
        [(value_of(shape.get("label", ""), class_names), _geometry(shape, size)) for shape in shapes], size
    )


def _geometry(shape: ET.Element, size: tuple[int, int]) -> Geometry:
    if shape.tag == "polygon":
        pairs = [pair.split(",") for pair in shape.get("points", "").split(";") if pair]
        return polygon([[float(number) for number in pair] for pair in pairs])
    if shape.tag == "box":
        x0, y0, x1, y1 = (float(shape.get(key, "nan")) for key in ("xtl", "ytl", "xbr", "ybr"))
        turn = float(shape.get("rotation", "0"))  # degrees, clockwise: y grows downwards
        if not np.isfinite(turn):
            raise ValueError(f"a box with the rotation {turn}, expected degrees")
        return rotate(rectangle([(x0, y0), (x1, y1)]), turn)
    if shape.tag == "mask":
        return _painted(shape, size)
    raise ValueError(f"a shape <{shape.tag}>, expected <polygon>, <box> or <mask>")


def _painted(shape: ET.Element, size: tuple[int, int]) -> Geometry:
    """The pixels of a mask: lengths of runs row by row within a box, the first run lying outside."""
    height, width, left, top = (_number(shape, key) for key in ("height", "width", "left", "top"))
    if height > size[0] or width > size[1]:
        raise ValueError(f"a mask of {width} x {height} pixels, larger than the image")
    runs = np.array([int(run) for run in shape.get("rle", "").split(",") if run.strip()], dtype=np.int64)
    if runs.min(initial=0) < 0 or runs.sum() != height * width:
        raise ValueError(f"a mask of {height * width} pixels whose runs have {runs.sum()}")
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return pixels(inside, left, top)


def _number(element: ET.Element, key: str) -> int:
    value = element.get(key)
    if value is None or not value.strip().isdecimal() or int(value) > 50_000:
        raise ValueError(f"{key}: found {value!r}, expected a whole number up to 50000")
    return int(value)
