"""Image-level labels from VOC's annotations: the classes of the objects that an XML file lists."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree
from xml.parsers import expat

from wsss.data.lists import did_you_mean
from wsss.data.problems import Problems

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)  # fmt: skip
"""In the official order: the mask value of the first is 1."""

MAX_BYTES = 1_000_000
"""Larger annotations are refused unread: those of VOC have a few kilobytes."""

logger = logging.getLogger(__name__)


def read_annotations(
    paths: Mapping[str, Path], difficult: Literal["kept", "dropped"], problems: Problems
) -> dict[str, tuple[int, ...]]:
    """Read the labels of images, 0-based and ascending, from their annotations.

    Args:
        paths: Annotation files by image id.
        difficult: With `dropped` a class counts only where one of its objects is not marked difficult; then
            an image may be left without a label.
        problems: Takes what is wrong.
    """
    index = {name: number for number, name in enumerate(CLASSES)}
    labels: dict[str, tuple[int, ...]] = {}
    for image_id, path in paths.items():
        try:
            objects = list(_objects(path))
        except OSError as error:
            problems.add("missing annotation", f"{path}: {error.strerror}")
        except ValueError as error:
            problems.add("bad annotation", f"{path}: {error}")
        else:
            names = {name for name, hard in objects if difficult == "kept" or not hard}
            labels[image_id] = tuple(sorted(index[name] for name in names))
    bare = [image_id for image_id, found in labels.items() if not found]
    if bare:
        logger.warning("%d images show difficult objects only and have no label, e.g. %s", len(bare), bare[0])
    return labels


def _objects(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield the class of each object, and whether it is marked difficult."""
    root = _parse(path)
    if root.tag != "annotation":
        raise ValueError(f"the root is <{root.tag}>, expected <annotation>")
    objects = root.findall("object")  # of the root alone: a person's parts are no objects of their own
    if not objects:
        raise ValueError("there is no <object>")
    for element in objects:
        name = element.findtext("name", "").strip()
        if name not in CLASSES:
            raise ValueError(f"there is no class {name!r}{did_you_mean(name, CLASSES)}")
        mark = element.findtext("difficult", "0").strip()
        if mark not in ("0", "1"):
            raise ValueError(f"<difficult> is {mark!r}, expected 0 or 1")
        yield name, mark == "1"


def _parse(path: Path) -> ElementTree.Element:
    """Parse XML without document type, which could define entities that expand without end.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is too large, no XML, or has a document type.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.stat().st_size:,} bytes; at most {MAX_BYTES:,} are read")
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        parser.Parse(path.read_bytes(), True)
    except (expat.ExpatError, LookupError) as error:  # LookupError: of an encoding that Python does not know
        raise ValueError(f"no XML: {error}") from error
    return builder.close()


def _refuse_document_type(name: str, *_: object) -> None:
    raise ValueError(f"has a document type, {name!r}; annotations have none")
