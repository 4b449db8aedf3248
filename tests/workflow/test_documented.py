"""Every command in a block of the documentation is typed in, into a copy of a finished shrunk study.

The pages speak of a study of photographs, `study.yaml` with results in `results/my_photos/`, and of the
default study; here both are the finished study of the workflow tests. Lines whose jobs other tests run are
planned only.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Workflow
from tests.documented import Command, blocks, commands

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow

PLANNED = {
    "longer.yaml": "tests/workflow/test_branch.py runs a branch",
    "best.yaml": "tests/workflow/test_sweep.py runs with the best point",
    "--only": "tests/unit/test_run.py compares the lines, and tests/workflow run the targets",
}
"""Words of the lines that are planned only, and what runs their jobs."""

FIGURES = [sys.executable, "-m", "docs.figures"]

SAME = {
    "results/my_photos": "results/tiny",
    "results/shapes": "results/tiny",
    "results/voc-animals": "results/tiny",
    "config.yaml": "study.yaml",
}
"""What stands for a name of the pages."""

TYPED = list({command.program: command for command in commands() if command.why is None}.values())
"""Each line once."""


class Reader:
    """Types commands into a folder, as a reader of the pages does."""

    def __init__(self, finished: Workflow, folder: Path) -> None:
        self.folder = Path(shutil.copytree(finished.folder, folder))
        self.study = (self.folder / "study.yaml").read_text() + "predict: {shards: 1}\n"
        (self.folder / "my_study.yaml").write_text(self.study)
        photographs = self.folder / "photos"
        for name in ("my_photos", "photographs", "new_photos"):
            shutil.copytree(photographs / "images", self.folder / name)
        shutil.copy(photographs / "labels.csv", self.folder / "my_photos")
        self.type_in("wsss", "branch", "study.yaml", "b", "--set", "random_walk.t=20")

    def type_in(self, program: str, *words: str, **variables: str) -> str:
        """What a command prints, which must not fail."""
        names = [self.meant(word) for word in words]
        if names[0] == "init":
            (self.folder / "study.yaml").unlink()
        done = subprocess.run(
            [sys.executable, "-m", program, *names],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder)} | variables,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, f"{program} {shlex.join(names)}\n{done.stdout}"
        if names[0] == "init":
            assert "root: my_photos" in (self.folder / "study.yaml").read_text()
            (self.folder / "study.yaml").write_text(self.study)
        return done.stdout

    @staticmethod
    def meant(word: str) -> str:
        """A word with the names of the finished study."""
        for name, meant in SAME.items():
            word = word.replace(name, meant)
        return word


@pytest.fixture(scope="module")
def reader(finished: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(finished, tmp_path_factory.mktemp("reader") / "clone")


@pytest.mark.parametrize("command", TYPED, ids=str)
def test_a_command_of_a_page_works(reader: Reader, command: Command) -> None:
    program, *words = command.program
    whole_default_study = program == "snakemake" and "--configfile" not in words
    computes = program == "snakemake" or words[0] == "run"
    named = any(part in word for part in PLANNED for word in words)
    options = ["--dry-run"] if whole_default_study or (computes and named) else []
    assert reader.type_in(program, *words, *options, **command.variables)


def test_the_pictures_of_the_pages_are_drawn(reader: Reader, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "docs.figures",
            "results/tiny",
            "--pictures",
            str(tmp_path),
            "--machine",
            "ours",
        ],
        cwd=reader.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout
    drawn = {path.name for path in tmp_path.glob("*.png")}
    pages = " ".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    named = set(re.findall(r"\(pictures/(\w+\.png)\)", pages))
    assert named == {path.name for path in (ROOT / "docs" / "pictures").glob("*.png")}
    assert drawn >= named - {"sweep.png", "report.png"}, "these need a sweep, and a browser"
    for name in drawn:
        with Image.open(tmp_path / name) as picture:
            assert re.fullmatch(
                r"study tiny: ours, .*PyTorch .*, \d{4}-\d\d-\d\d; .*", picture.info["Description"]
            )
    assert "ours" in (tmp_path / "origin.md").read_text()


def test_the_notebook_runs(reader: Reader) -> None:
    cells = [
        block.text
        for block in blocks(ROOT / "docs" / "python.md")
        if block.language.startswith("{code-cell}")
    ]
    assert len(cells) > 5
    results = reader.folder / "results"
    (results / "shapes").symlink_to(results / "tiny", target_is_directory=True)
    try:
        script = reader.folder / "notebook.py"
        script.write_text("\n".join(cells))
        done = subprocess.run(
            [sys.executable, script.name],
            cwd=reader.folder,
            env=os.environ | {"PYTHONPATH": str(reader.folder)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    finally:
        (results / "shapes").unlink()
    assert done.returncode == 0, done.stdout
