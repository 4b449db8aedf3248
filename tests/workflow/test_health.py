"""Runs that are broken on purpose raise their alarm, and what the alarm says to run does run."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Workflow

pytestmark = pytest.mark.slow

ALL_BACKGROUND, NO_BACKGROUND = {"kind": "constant", "score": 1.0}, {"kind": "constant", "score": 0.0}
"""Backgrounds of the walk that win every pixel, and none."""


def constants(foreground: float, background: float) -> dict[str, Any]:
    """Scores that a class must exceed to be confident, and stay below for confident background."""
    return {"kind": "constant", "foreground": foreground, "background": background}


BROKEN: dict[str, tuple[dict[str, Any], dict[str, list[str]]]] = {
    "confident regions of nothing": (
        {"confident": {"background": constants(1.0, 0.5), "refine": "none"}},
        {"confident": ["no-confident-region", "confident-foreground"]},
    ),
    "CAMs that are the same everywhere": (
        {
            "cams": {"kind": "files", "format": "stacks", "folder": "same"},
            "confident": {"background": constants(0.2, 0.1), "refine": "none"},
        },
        {
            "cams": ["cams-miss"],
            "confident": ["confident-foreground", "confident-background", "confident-wrong"],
        },
    ),
    "a background that takes everything": (
        {"random_walk": {"background": ALL_BACKGROUND, "refine": "none"}, "segmenter": {"epochs": 7}},
        {
            "random_walk": ["walk-foreground", "labels-vanish", "below-cams"],
            "segmentation": ["all-background", "never-predicted"],
        },
    ),
    "a walk without end or background": (
        {"random_walk": {"t": 20000, "beta": 0.1, "background": NO_BACKGROUND, "refine": "none"}},
        {
            "random_walk": [
                "no-borders",
                "walk-foreground",
                "walk-forgets",
                "no-background",
                "below-cams",
                "below-dense-crf",
            ]
        },
    ),
    "a learning rate of nothing": (
        {"segmenter": {"epochs": 7, "optimizer": {"learning_rate": 1e-9}}},
        {"segmentation": ["segmenter-loss", "behind-its-masks"]},
    ),
}
"""What is broken, and the alarms that must be heard, by part of the road."""


def found(results: Path, part: str) -> dict[str, dict[str, Any]]:
    """What is wrong with a part, by the name of the alarm."""
    health = json.loads((results / "health" / f"{part}.json").read_text())
    return {finding["alarm"]: finding for finding in health["findings"]}


def write_cams(workflow: Workflow, folder: str) -> None:
    """Write CAMs of each photograph and class that are the same everywhere."""
    classes = len((workflow.folder / "photos" / "classes.txt").read_text().split())
    (workflow.folder / folder).mkdir()
    for photo in (workflow.folder / "photos" / "images").iterdir():
        maps = np.full((classes, *np.asarray(Image.open(photo)).shape[:2]), 0.5, np.float32)
        np.save(workflow.folder / folder / f"{photo.stem}.npy", maps)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_run_is_heard(workflow: Workflow, name: str) -> None:
    sections, expected = BROKEN[name]
    if folder := sections.get("cams", {}).get("folder"):
        write_cams(workflow, folder)
    workflow.configure(**sections)
    said = workflow.snakemake(*(f"results/tiny/health/{part}.json" for part in expected))
    for part, alarms in expected.items():
        findings = found(workflow.results, part)
        assert [alarm for alarm in alarms if findings[alarm]["severity"] != "alarm"] == []
        for alarm in alarms:
            finding = findings[alarm]
            line = f"{finding['title']}: {finding['figure']}"
            assert f"check_health {part}: ALARM: {line}" in said, "as soon as the part is finished"
            assert re.search(rf"^  ALARM  {re.escape(finding['title'])}", said, re.M), "at the end"


def test_a_dozen_images_and_three_steps_are_heard(finished: Workflow) -> None:
    health = json.loads((finished.results / "health.json").read_text())
    severities = {finding["alarm"]: finding["severity"] for finding in health["findings"]}
    expected = {
        "few-images": "alarm",
        "near-chance": "alarm",
        "cams-miss": "alarm",
        "behind-its-masks": "alarm",
        "classifier-steps": "warning",
    }
    assert severities.items() >= expected.items()
    said = (finished.folder / "said.txt").read_text()
    counts = f"health:  {health['alarms']} alarms and {health['warnings']} warnings"
    (end,) = re.findall(rf"^{counts} .*\Z", said, re.M | re.S)
    for finding in health["findings"]:
        assert f"{finding['severity'].upper()}  {finding['title']}" in end
    first = health["findings"][0]
    assert first["alarm"] == "few-images"
    page = html.unescape((finished.results / "report" / "scores.html").read_text())
    for text in (first["title"], first["figure"], first["meaning"], first["help"][0]):
        assert text in page
        assert text in " ".join(end.split())


def test_a_run_that_ends_with_the_masks_is_checked_up_to_there(workflow: Workflow) -> None:
    workflow.configure(random_walk={"background": ALL_BACKGROUND, "refine": "none"})
    said = workflow.snakemake("masks")
    place = re.escape(str(Path("results", "tiny", "health")))
    counts = r"health:  \d+ alarms and \d+ warnings in \d+ checks"
    (end,) = re.findall(rf"^{counts} \({place}[);].*\Z", said, re.M | re.S)
    assert "ALARM  labels that vanish" in end
    assert "ALARM  classes with few images" in end
    assert "segmenter" not in end, "that of the last run was trained on other masks"
    assert "never predicted" not in end
    assert "all-background" in found(workflow.results, "segmentation"), "its health is still there"


def test_the_report_begins_with_the_alarms(workflow: Workflow) -> None:
    workflow.snakemake("--report", "results/tiny/report.html")
    page = (workflow.results / "report.html").read_text("utf-8")
    health = json.loads((workflow.results / "health.json").read_text())
    first_page = page[page.index("Alarms and warnings") : page.index("learned from image-level")]
    titles = [finding["title"] for finding in health["findings"]]
    assert [title for title in titles if title.split(": ")[-1] not in first_page] == []


def test_what_is_printed_runs_as_printed(workflow) -> None:
    health = json.loads((workflow.results / "health.json").read_text())
    said = (workflow.folder / "said.txt").read_text()
    texts = [text for finding in health["findings"] for text in finding["help"]]
    spans = {span for text in texts for span in re.findall(r"`([^`]+)`", text)}
    commands = {span for span in spans if re.match(r"\S*snakemake ", span)}
    commands |= set(re.findall(r"\((\S*snakemake .*) writes it\)", said))
    assert len(commands) >= 2
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(workflow.folder)}
    for command in commands:
        program = [*shlex.split(command), "--dry-run"]
        done = subprocess.run(program, cwd=workflow.folder, env=env, text=True, capture_output=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
    files = [Path(span) for span in spans if span.startswith("results/")]
    assert [file for file in files if not (workflow.folder / file).exists()] == []
