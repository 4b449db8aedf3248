"""Label Studio's exports JSON and JSON-MIN: choices, boxes, outlines and brushes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from wsss.data.labels.cells import names_in
from wsss.data.labels.named import Labels, labels_of
from wsss.data.layouts.json_files import load_json
from wsss.data.names import ImageNames, named_images, readings, same_form
from wsss.data.problems import Problems

NO_LABELS = frozenset(
    [
        "id",
        "annotator",
        "annotation_id",
        "created_at",
        "updated_at",
        "lead_time",
        "data",
        "annotations",
        "predictions",
        "meta",
    ]
)
"""Keys of a JSON-MIN task that hold no labels."""


USUAL_KEYS = ("choice", "label", "class")
"""Names that choices usually have."""


def is_label_studio(content: Any) -> bool:
    """Tell whether the content of a JSON file is a list of tasks."""
    tasks = content[:5] if isinstance(content, list) else []
    return bool(tasks) and all(isinstance(task, dict) and _is_task(task) for task in tasks)


def _is_task(task: dict[str, Any]) -> bool:
    if isinstance(task.get("data"), dict):
        return isinstance(task.get("annotations", task.get("completions")), list)
    return "annotation_id" in task or "annotator" in task


def read_label_studio(folder: Path, file: Path, without: Sequence[Path], problems: Problems) -> Labels:
    """Read the labels of each task's last annotation that was not cancelled.

    Args:
        folder: Holds the images, in sub-folders too, under the names that they had before they were uploaded,
            or those that Label Studio gave them.
        file: The JSON file.
        without: Sub-folders that hold masks.
        problems: Collects what is wrong; tasks that nobody has annotated are none.
    """
    images, names = named_images(folder, problems, without)
    as_uploaded = _uploaded_names(images.values())
    found: dict[str, list[str]] = {}
    content = load_json(file, problems)
    tasks = content if isinstance(content, list) else []
    keys = _label_keys([task for task in tasks if isinstance(task, dict)], names)
    for number, task in enumerate(tasks):
        place = f"{file}: [{number}]"
        if not isinstance(task, dict) or not _is_task(task):
            problems.add("bad annotations", f"{place} is no task of Label Studio")
            continue
        ids = _image(task, names, as_uploaded)
        if len(ids) != 1:
            data = task.get("data", task)
            found_ids = f"it may be any of {', '.join(sorted(ids))}" if ids else "there is no image"
            problems.add("missing image", f"{place}: {found_ids} for {data!r:.120}")
        elif (labels := _labels(task, keys)) is not None:
            found[next(iter(ids))] = labels
    return labels_of(images, found, problems)


def _uploaded_names(images: Iterable[Path]) -> dict[str, list[str]]:
    """Return the names of files by those that they have after an upload, where these differ."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in images:
        if (uploaded := _uploaded(path.name)) != path.name:
            found[uploaded].append(path.name)
    return found


def _uploaded(name: str) -> str:
    """Return a file's name as Label Studio stores it: `_` for spaces, and no signs but `-`, `_` and `.`."""
    return re.sub(r"[^-\w.]", "", same_form(name).strip().replace(" ", "_"))


def _image(task: dict[str, Any], names: ImageNames, as_uploaded: Mapping[str, Sequence[str]]) -> set[str]:
    data = task["data"] if isinstance(task.get("data"), dict) else task
    texts = [task.get("file_upload"), *(data[key] for key in sorted(data))]
    for text in texts:
        if isinstance(text, str) and "\n" not in text:
            files = {PurePosixPath(reading).name for reading in readings(same_form(text))}
            before = [name for file in files for name in as_uploaded.get(file, ())]
            if ids := names.find(text).union(*map(names.find, before)):
                return ids
    return set()


def _labels(task: dict[str, Any], keys: Collection[str]) -> list[str] | None:
    """Return the labels of a task; None if nobody has annotated it."""
    if not isinstance(task.get("data"), dict):
        told = {"label": [task[key] for key in keys if key in task]}
        return list(names_in(told | {key: value for key, value in task.items() if _may_label(key, value)}))
    annotations = task.get("annotations") or task.get("completions") or []
    done = [a for a in annotations if isinstance(a, dict) and not a.get("was_cancelled")]
    if not done:
        return None
    results = done[-1].get("result")
    values = [result.get("value") for result in results if isinstance(result, dict)] if results else []
    return [name for value in values if isinstance(value, dict) for name in names_in(value)]


def _may_label(key: str, value: Any) -> bool:
    """Texts of JSON-MIN are labels only under the names that choices have: the others are data."""
    return key not in NO_LABELS and (not isinstance(value, str) or key in USUAL_KEYS)


def _label_keys(tasks: Sequence[Mapping[str, Any]], names: ImageNames) -> list[str]:
    """Return the keys of JSON-MIN below which labels may be that have the name of somebody's own choices.

    They hold a few texts that recur, none of them an image; there are none where a usual key tells labels.
    """
    flat = [task for task in tasks if not isinstance(task.get("data"), dict)]
    if any(task.get(key) for task in flat for key in USUAL_KEYS):
        return []
    texts: dict[str, list[str]] = {}
    for key, value in (pair for task in flat for pair in task.items()):
        if key not in NO_LABELS and isinstance(value, str):
            texts.setdefault(key, []).append(value)
    return [
        key
        for key, found in texts.items()
        if len(set(found) - {""}) <= len(found) / 2 and not any(map(names.find, set(found)))
    ]
