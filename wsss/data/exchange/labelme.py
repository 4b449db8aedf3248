"""labelme's files: one JSON per image, with its shapes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from io import BytesIO
from os.path import relpath
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, ConfigDict, ValidationError
from shapely import Geometry

from wsss.data.exchange.outlines import (
    Mask,
    circle,
    draw,
    names_by_value,
    other_size,
    outlines,
    pixels,
    polygon,
    rectangle,
    value_of,
)
from wsss.results import write_text
from wsss.study.regular import regular_text

VERSION = "5.5.0"
"""Of labelme, whose files these are like."""

UNCHANGED = "wsss_digest"
"""Key under which a file keeps the digest of its shapes; labelme leaves keys that it does not know."""

Shape = Mapping[str, Any]


class Labelled(NamedTuple):
    """A mask that was read, and whether its shapes are still those that `write_labelme` wrote."""

    mask: Mask
    unchanged: bool


def write_labelme(path: Path, mask: Mask, image: Path, class_names: Sequence[str]) -> None:
    """Write the outlines of a mask (H, W) for labelme.

    Args:
        path: the file, `<id>.json`.
        mask: mask values 0 … C, and 255 where unknown.
        image: the image that labelme shows under them.
        class_names: the C names.
    """
    names = names_by_value(class_names)
    shapes: list[Shape] = [
        {
            "label": names[outline.value],
            "points": [list(point) for point in outline.points],
            "group_id": outline.group,
            "description": "",
            "shape_type": "polygon",
            "flags": {},
            "mask": None,
        }
        for outline in outlines(mask)
    ]
    content = {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": relpath(image, path.parent).replace("\\", "/"),
        "imageData": None,
        "imageHeight": mask.shape[0],
        "imageWidth": mask.shape[1],
        UNCHANGED: _digest(shapes),
    }
    write_text(path, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def read_labelme(path: Path, size: tuple[int, int], class_names: Sequence[str]) -> Labelled:
    """Read the mask that a labelme file describes: its shapes, each over those before it.

    Args:
        path: the file.
        size: (H, W) that the image has.
        class_names: those of classes 1 … C.

    Raises:
        ValueError: the file is damaged or no file of labelme's, is of an image of another size, or has a
            shape or a class that is not known. The message names the file.
    """
    try:
        values = json.loads(regular_text(path))
        found = _File.model_validate(values)
        if (found.imageHeight, found.imageWidth) != size:
            raise ValueError(other_size((found.imageHeight, found.imageWidth), size))
        shapes = [(value_of(shape.label, class_names), _geometry(shape, size)) for shape in found.shapes]
        given = values.get(UNCHANGED)
        return Labelled(draw(shapes, size), given is not None and given == _digest(values["shapes"]))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise ValueError(f"{path}: no labelme file: {key}: {first['msg']}") from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ValueError(f"{path}: {error}") from error


def _digest(shapes: Sequence[Shape]) -> str:
    """The digest of labels and corners, which saving unchanged shapes again does not change."""
    facts = [(shape["label"], [[float(x), float(y)] for x, y in shape["points"]]) for shape in shapes]
    return blake2b(json.dumps(facts).encode(), digest_size=16).hexdigest()


class _Shape(BaseModel):
    model_config = ConfigDict(extra="ignore")

    label: str
    points: list[tuple[float, float]]
    shape_type: Literal["polygon", "rectangle", "circle", "mask"] = "polygon"
    mask: str | None = None


class _File(BaseModel):
    model_config = ConfigDict(extra="ignore")

    shapes: list[_Shape]
    imageHeight: int  # labelme's names
    imageWidth: int


def _geometry(shape: _Shape, size: tuple[int, int]) -> Geometry:
    if shape.shape_type == "mask":
        return _painted(shape, size)
    make = {"polygon": polygon, "rectangle": rectangle, "circle": circle}[shape.shape_type]
    return make(shape.points)


def _painted(shape: _Shape, size: tuple[int, int]) -> Geometry:
    """The pixels of a PNG, which labelme keeps with the box that it fills."""
    if shape.mask is None or len(shape.points) != 2:
        raise ValueError("a shape of type mask without its picture or its two points")
    with Image.open(BytesIO(base64.b64decode(shape.mask, validate=True)), formats=["PNG"]) as image:
        if image.height > size[0] or image.width > size[1]:
            raise ValueError(
                f"a painted shape of {image.width} x {image.height} pixels, larger than the image"
            )
        inside: NDArray[np.bool_] = np.asarray(image.convert("L")) > 0
    left, top = (round(min(values)) for values in zip(*shape.points, strict=True))
    return pixels(inside, left, top)
