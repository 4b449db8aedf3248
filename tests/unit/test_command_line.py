"""What Snakemake's command line gets wrong, in one sentence."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
import yte

from wsss.study.command_line import check_command_line
from wsss.study.machine import gpu_slots_here, memory_mb

ROOT = Path(__file__).resolve().parents[2]
PROFILES = ("default", "slurm")


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
        "-c4 -n",
        "--cores all --configfile mine.yaml",
        "-j 1 mine",
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
        (
            "--cores 0 --configfile mine.yaml",
            "^--cores 0: no job can run; expected a number from 1 on, or all$",
        ),
        ("-n --jobs=0", "^--jobs 0: no job can run"),
        ("-c0", "^-c 0: no job can run"),
    ],
)
def test_one_sentence_says_what_is_wrong(line: str, said: str) -> None:
    with pytest.raises(SystemExit, match=said) as error:
        check_command_line(shlex.split(line))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_profiles_check_it(profile: str) -> None:
    content = yaml.safe_load((ROOT / "profiles" / profile / "profile.yaml").read_text("utf-8"))
    assert content["__use_yte__"] is True
    assert content["__definitions__"][1] == "check_command_line()"


def test_the_profiles_say_the_same_of_it() -> None:
    contents = [(ROOT / "profiles" / profile / "profile.yaml").read_text("utf-8") for profile in PROFILES]
    first, second = (yaml.safe_load(content)["__definitions__"] for content in contents)
    assert first[:2] == second[:2]


@pytest.fixture
def definitions() -> list[str]:
    """What the profiles run."""
    content = yaml.safe_load((ROOT / "profiles" / "default" / "profile.yaml").read_text("utf-8"))
    return list(content["__definitions__"])


def run_definitions(definitions: list[str], folder: Path, *arguments: str, path: str = "") -> tuple[int, str]:
    """Run them as Snakemake does in a folder, after its command line, and say where wsss comes from."""
    program = "\n".join([*definitions, "import wsss", "print(wsss.__file__)"])
    command = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {path!r})\n{program}", *arguments]
    done = subprocess.run(command, cwd=folder, text=True, capture_output=True)
    return done.returncode, done.stdout + done.stderr


def stand_in(folder: Path, what: str = "") -> Path:
    """A clone with a wsss that has the checked function only."""
    package = folder / "wsss" / "study"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package.parent / "__init__.py").write_text(what)
    (package / "command_line.py").write_text("def check_command_line(): pass\n")
    (package / "machine.py").write_text("gpu_slots_here = memory_mb = None\n")
    return folder


@pytest.mark.parametrize(
    "option", [["--snakefile", "{}/Snakefile"], ["--snakefile={}/Snakefile"], ["-s", "{}/Snakefile"], None]
)
def test_the_wsss_beside_the_snakefile_comes_before_one_that_is_installed(
    definitions: list[str], tmp_path: Path, option: list[str] | None
) -> None:
    clone, installed = stand_in(tmp_path / "clone"), stand_in(tmp_path / "installed", "raise ValueError")
    folder = tmp_path if option else clone
    arguments = [word.format(clone) for word in option or []]
    status, said = run_definitions(definitions, folder, *arguments, path=str(installed))
    assert (status, said.strip()) == (0, str(clone / "wsss" / "__init__.py"))


def test_without_any_wsss_a_command_says_how_to_install_it(definitions: list[str], tmp_path: Path) -> None:
    broken = stand_in(tmp_path / "my clone", "import a_library_that_is_not_there")
    status, said = run_definitions(definitions, broken)
    assert status == 1
    (line,) = said.splitlines()
    assert "No module named 'a_library_that_is_not_there'" in line
    assert line.endswith(f"{sys.executable} -m pip install '{broken}'")


def test_the_workstation_needs_no_number_of_cores() -> None:
    content = yaml.safe_load((ROOT / "profiles" / "default" / "profile.yaml").read_text("utf-8"))
    assert content["cores"] == "all"


def test_the_workstation_runs_as_many_jobs_as_it_has_gpus_and_memory_for() -> None:
    text = (ROOT / "profiles" / "default" / "profile.yaml").read_text("utf-8")
    profile = yte.process_yaml(text.replace("  - check_command_line()\n", ""))
    assert profile["resources"] == {"gpu": gpu_slots_here(), "mem_mb": memory_mb()}
