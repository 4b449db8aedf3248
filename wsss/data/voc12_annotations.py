"""Image-level labels from VOC's XML annotations: the classes of an image's objects."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DTDForbidden
from defusedxml.ElementTree import fromstring

from wsss.data.class_names import VOC_CLASSES as CLASSES
from wsss.data.names import same_form
from wsss.data.problems import Problems
from wsss.study.options import Difficult
from wsss.study.regular import regular_bytes
from wsss.study.words import did_you_mean

MAX_BYTES = 1_000_000
"""Larger annotation files are not read: VOC's have a few kilobytes."""

DIFFICULT = {"": False, "0": False, "false": False, "unspecified": False, "1": True, "true": True}
"""Whether an object is difficult, by the text of its mark, which some tools leave empty."""

logger = logging.getLogger(__name__)


def read_annotations(
    paths: Mapping[str, Path], difficult: Difficult, problems: Problems
) -> dict[str, tuple[int, ...]]:
    """Read the labels of images, 0-based class indices in ascending order, from their annotations.

    Args:
        paths: Annotation files by image id.
        difficult: `dropped` counts a class only if one of its objects is not marked difficult, so that an
            image may have no label at all; `kept` counts every object.
        problems: Collects the problems found.
    """
    index = {name: number for number, name in enumerate(CLASSES)}
    labels: dict[str, tuple[int, ...]] = {}
    for image_id, path in paths.items():
        try:
            objects = parse_annotation(path).objects
            _of_voc(objects)
        except OSError as error:
            problems.add("missing annotation", f"{path}: {error.strerror}")
        except ValueError as error:
            problems.add("bad annotation", f"{path}: {error}")
        else:
            names = {name for name, hard in objects if difficult == "kept" or not hard}
            labels[image_id] = tuple(sorted(index[name] for name in names))
    bare = [image_id for image_id, found in labels.items() if not found]
    if bare:
        logger.warning("%d images have only difficult objects, so no label, e.g. %s", len(bare), bare[0])
    return labels


class Annotation(NamedTuple):
    """An annotation: the image's file name, perhaps empty, and of each object class and mark as difficult."""

    file_name: str
    objects: list[tuple[str, bool]]


def parse_annotation(path: Path) -> Annotation:
    """Read an annotation with classes of any name.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is too large, no XML, or no annotation.
    """
    root = _parse(path)
    if root.tag != "annotation":
        raise ValueError(f"the root is <{root.tag}>, expected <annotation>")
    elements = root.findall("object")  # direct children only: the parts of a person are not objects
    objects = [(_name(element), _is_difficult(element)) for element in elements]
    return Annotation(root.findtext("filename", "").strip(), objects)


def _name(element: Element) -> str:
    name = same_form(element.findtext("name", "").strip())
    if not name:
        raise ValueError("an <object> has no <name>")
    if not name.isprintable():
        raise ValueError(f"there is no class {name!r}")
    return name


def _is_difficult(element: Element) -> bool:
    mark = element.findtext("difficult", "").strip()
    if mark.casefold() not in DIFFICULT:
        raise ValueError(f"<difficult> is {mark!r}, expected 0 or 1")
    return DIFFICULT[mark.casefold()]


def _of_voc(objects: Sequence[tuple[str, bool]]) -> None:
    """Refuse other classes than VOC's, and an image without any."""
    if not objects:
        raise ValueError("there is no <object>")
    for name, _ in objects:
        if name not in CLASSES:
            hint = did_you_mean(name, CLASSES) or f", expected one of {', '.join(CLASSES)}"
            raise ValueError(f"there is no class {name!r}{hint}")


def _parse(path: Path) -> Element:
    """Parse XML that has no document type: that could define entities which expand without end.

    Raises:
        OSError: The file cannot be read.
        ValueError: The file is too large, is not XML, or has a document type.
    """
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{size:,} bytes, expected at most {MAX_BYTES:,}")
    content = regular_bytes(path)
    if not content.strip():
        raise ValueError("the file is empty")
    try:
        return fromstring(content, forbid_dtd=True)
    except DTDForbidden as error:
        said = f"has a document type, {error.name!r}; annotations have none: remove `<!DOCTYPE …>`"
        raise ValueError(said) from error
    except (ParseError, LookupError) as error:  # LookupError: an encoding that Python does not know
        raise ValueError(f"not XML: {error}") from error
