"""Presets are overlays: over any study they give a valid one that has the published values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from wsss.study.config import ConfigError, Study, read_study

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "studies").glob("*.yaml"))
PRESETS = sorted((ROOT / "studies" / "presets").glob("*.yaml"))

PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    "psa": {
        "confident": {
            "background": {"kind": "power", "low_alpha": 4, "high_alpha": 32},
            "refine": "dense_crf",
        },
        "random_walk": {
            "background": {"kind": "power", "alpha": 16},
            "beta": 8,
            "t": 256,
            "padding": "zeros",
            "normalize": "none",
            "refine": "none",
        },
    },
    "seam": {
        "confident": {"background": {"kind": "power", "low_alpha": 4, "high_alpha": 24}},
        "random_walk": {"background": {"kind": "power", "alpha": 6}, "beta": 8, "t": 64, "padding": "zeros"},
    },
    "mctformer": {
        "confident": {"background": {"kind": "power", "low_alpha": 1, "high_alpha": 12}},
        "random_walk": {
            "background": {"kind": "constant", "score": 0.39},
            "beta": 8,
            "t": 64,
            "padding": "zeros",
        },
    },
    "irn-like": {
        "confident": {
            "background": {"kind": "constant", "foreground": 0.3, "background": 0.05},
            "refine": "dense_crf",
        },
        "affinities": {"kind": "boundary", "input_scale": 2.0, "radius": 5},
        "random_walk": {
            "background": {"kind": "constant", "score": 0.25},
            "beta": 10,
            "t": 256,
            "padding": "none",
            "normalize": "image",
            "normalize_on": "pixels",
            "refine": "none",
        },
    },
}
"""The values of the literature; keys that no one published stand in none of them."""

ADDED = {"kind", "folder", "flip"}
"""Keys of `affinities` in which kinds differ, or which the user adds."""


def merged(study: Path, preset: Path, folder: Path) -> Study:
    """A preset over a study; what a user must add, a folder of boundary maps, comes between."""
    own = folder / "own.yaml"
    own.write_text(
        "affinities: {kind: boundary, folder: maps}\n" if preset.stem == "irn-like" else "seed: 1\n"
    )
    return read_study(ROOT / "config.yaml", study, own, preset)


def test_there_is_a_preset_for_each_system():
    assert {preset.stem for preset in PRESETS} == PUBLISHED.keys()


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
@pytest.mark.parametrize("study", [ROOT / "config.yaml", *STUDIES], ids=lambda path: path.stem)
def test_a_preset_over_a_study_has_the_published_values(study: Path, preset: Path, tmp_path: Path):
    found = merged(study, preset, tmp_path).model_dump()
    for section, values in PUBLISHED[preset.stem].items():
        assert {key: found[section][key] for key in values} == values


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_leaves_the_rest_alone(preset: Path, tmp_path: Path):
    stated = yaml.safe_load(preset.read_text())
    assert stated.keys() <= {"confident", "affinities", "random_walk"}
    base = read_study(ROOT / "config.yaml").model_dump()
    found = merged(ROOT / "config.yaml", preset, tmp_path).model_dump()
    for section, values in base.items():
        if isinstance(values, dict):
            kept = values.keys() - stated.get(section, {}).keys() - ADDED
            assert {key: found[section][key] for key in kept} == {key: values[key] for key in kept}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_a_preset_says_how_to_use_it(preset: Path):
    command = rf"^#   snakemake --configfile \S+ studies/presets/{preset.name}$"
    assert re.search(command, preset.read_text(), re.MULTILINE)


def test_boundary_maps_must_be_given():
    with pytest.raises(ConfigError, match=r"affinities.folder: missing, folder of boundary maps"):
        read_study(ROOT / "config.yaml", ROOT / "studies" / "presets" / "irn-like.yaml")
