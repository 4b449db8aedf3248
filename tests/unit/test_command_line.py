"""What Snakemake's command line gets wrong, in one sentence."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from wsss.study.command_line import check_command_line

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two studies."""
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("name: mine\n")
    Path("torn.yaml").write_text("name: [mine\n")
    Path("profiles").mkdir()
    Path("profiles", "profile.yaml").write_text("cores: 1\n")
    best = Path("results", "mine", "sweep", "best.yaml")
    best.parent.mkdir(parents=True)
    best.write_text("random_walk: {t: 8}\n")
    return tmp_path


@pytest.mark.parametrize(
    "line",
    [
        "",
        "-n",
        "sweep -n --cores 2",
        "--configfile mine.yaml",
        "--configfile=mine.yaml",
        "--configfiles mine.yaml results/mine/sweep/best.yaml --cores 1",
        "results/mine/sweep/best.yaml --configfile mine.yaml",
        "--configfile mine.yaml -- results/mine/sweep/best.yaml",
        "--workflow-profile profiles/profile.yaml --configfile mine.yaml",
        "results/mine/other.yaml",
        "--config name=mine.yaml",
    ],
)
def test_what_snakemake_understands_is_left_alone(line: str) -> None:
    check_command_line(shlex.split(line))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--configfile nope.yaml", r"^nope\.yaml: no such file \(/.*/nope\.yaml\); --configfile expects"),
        ("--configfile=nope.yaml", r"^nope\.yaml: no such file"),
        ("--configfile profiles", "^profiles: is a folder; --configfile expects the YAML file"),
        ("--configfile torn.yaml", r"^torn\.yaml:2:1: not valid YAML"),
        (
            "mine.yaml",
            r"mine\.yaml is a study, not a target; what runs it: .*snakemake --configfile mine\.yaml$",
        ),
        ("-n mine.yaml --cores 1", r"is a study, .*: .*snakemake -n --cores 1 --configfile mine\.yaml$"),
        ("mine.yaml -s S --configfile a.yaml -n", r".*snakemake -s S --configfile a\.yaml mine\.yaml -n$"),
        ("--cores 1 -- mine.yaml", "is a study, not a target"),
        (
            "--configfile mine.yaml sweep -n",
            r"^sweep: no such study file.* targets come first: .*snakemake sweep --configfile mine\.yaml -n$",
        ),
        ("--configfile sweep", "^sweep: no such file"),
    ],
)
def test_one_sentence_says_what_is_wrong(line: str, said: str) -> None:
    with pytest.raises(SystemExit, match=said) as error:
        check_command_line(shlex.split(line))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("profile", ["default", "slurm"])
def test_the_profiles_check_it(profile: str) -> None:
    content = yaml.safe_load((ROOT / "profiles" / profile / "profile.yaml").read_text("utf-8"))
    assert content["__use_yte__"] is True
    assert content["__definitions__"][-1] == "check_command_line()"


def test_the_workstation_needs_no_number_of_cores() -> None:
    content = yaml.safe_load((ROOT / "profiles" / "default" / "profile.yaml").read_text("utf-8"))
    assert content["cores"] == "all"
