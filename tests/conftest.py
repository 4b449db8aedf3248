"""The workflow in a folder of its own, and one finished run of the road, which tests copy and change."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pytest
import yaml
from filelock import FileLock
from PIL import Image

from wsss.data.images import palette_image
from wsss.data.scenes import draw_scene
from wsss.data.shapes import draw_shapes
from wsss.study.config import Shapes, Voc12, merged

ROOT = Path(__file__).resolve().parents[1]
PARTS = (
    "Snakefile",
    "config.yaml",
    "rules",
    "workflow_scripts",
    "wsss",
    "profiles",
    "envs",
    "report",
    "studies",
)

STUDY: dict[str, Any] = {
    "name": "tiny",
    "shards": {"train": 1, "val": 2},
    "refined_splits": ["train", "val"],
    "dataset": {
        "kind": "folder",
        "root": "photos",
        "masks": "masks",
        "splits": {"train": "splits/train.txt", "val": "splits/val.txt"},
    },
    "classifier": {"epochs": 1, "batch_size": 4, "crop_size": 64},
    "cams": {"scales": [1.0, 0.5], "flip": False},
    "affinitynet": {"epochs": 1, "batch_size": 4, "crop_size": 80},
    "random_walk": {"t": 16},
    "segmenter": {"epochs": 1, "batch_size": 4, "crop_size": 64},
    "report": {"gallery": 1},
}
"""Networks learn nothing here; all stages run, on a dozen images, in seconds each."""


READERS = ("plot_", "write_tables", "write_report", "check_health", "gather_health")
"""Beginnings of the rules that show or judge results."""


@dataclass(frozen=True)
class Workflow:
    """A copy of the workflow with the photographs of a study beside it."""

    folder: Path

    @classmethod
    def create(cls, folder: Path, study: Mapping[str, Any]) -> Self:
        """Copy the workflow into a folder, with a study."""
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            copy(ROOT / part, folder / part)
        (folder / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
        return cls(folder)

    def unfinished(self, folder: Path) -> Self:
        """Copy it, with its photographs, as it was before its first run."""
        made_by_runs = {"results", ".snakemake"}

        def left_out(directory: str, names: list[str]) -> set[str]:
            return made_by_runs if Path(directory) == self.folder else set()

        return type(self)(shutil.copytree(self.folder, folder, ignore=left_out))

    @property
    def results(self) -> Path:
        """Folder of the study's results."""
        return self.folder / "results" / "tiny"

    def command(self, *arguments: str) -> list[str]:
        """The command line of snakemake for the study: jobs, which are small, of one thread each."""
        program = [sys.executable, "-m", "snakemake", "--configfile", "study.yaml"]
        return [*program, "--cores", "2", "--resources", "gpu=2", "--max-threads", "1", *arguments]

    def snakemake(self, *arguments: str, env: Mapping[str, str] | None = None) -> str:
        """Run snakemake and return all that it says; fail if it fails."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(self.command(*arguments), cwd=self.folder, env=env, text=True, **pipes)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def planned(self, *arguments: str) -> set[str]:
        """The rules of which a dry run would run jobs."""
        table = re.search(
            r"^job +count\n[- ]+\n(.*?)^total", self.snakemake("--dry-run", *arguments), re.M | re.S
        )
        return {line.split()[0] for line in table[1].splitlines()} - {"all"} if table else set()

    def configure(self, **sections: Any) -> None:
        """Change keys of the study, as an overlay does: a mapping of another kind replaces."""
        study = yaml.safe_load((self.folder / "study.yaml").read_text())
        (self.folder / "study.yaml").write_text(yaml.safe_dump(merged(study, sections), sort_keys=False))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start snakemake as a terminal does: leader of a process group, with an ear for Ctrl-C."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # background jobs ignore it
        )

    def artifacts(self) -> dict[str, bytes]:
        """Content of all results by path, but for what tells time: logs, benchmarks, histories, manifests."""
        files = (path for path in self.results.rglob("*") if path.is_file())
        names = {str(path.relative_to(self.results)): path for path in files}
        timed = re.compile(r"logs/|benchmarks/|.*/history\.tsv$|.*\.\w+\.json$")
        return {name: path.read_bytes() for name, path in names.items() if not timed.match(name)}

    def written_since(self, moment: int) -> set[str]:
        """Results, but for logs and the like, that were written after a time in nanoseconds."""
        return {name for name in self.artifacts() if (self.results / name).stat().st_mtime_ns > moment}

    def newest(self) -> int:
        """When the last result was written, in nanoseconds."""
        return max((self.results / name).stat().st_mtime_ns for name in self.artifacts())


@pytest.fixture(scope="session")
def workflow_of() -> Callable[[Path, Mapping[str, Any]], Workflow]:
    """Makes the workflow in a folder, with a study."""
    return Workflow.create


Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Once:
    """Makes a folder once for all processes that test; the others wait until it is there."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def finished(once: Once) -> Workflow:
    """A finished run, which no test may change; `said.txt` is what it said."""

    def run(folder: Path) -> None:
        workflow = Workflow.create(folder, STUDY)
        draw_shapes(Shapes(train=12, val=6, size=64), folder / "photos")
        (folder / "said.txt").write_text(workflow.snakemake())

    return Workflow(once("finished", run))


@pytest.fixture(scope="session")
def finished_voc(once: Once) -> Workflow:
    """The same for a miniature of VOC 2012, with its submission."""
    dataset = {"kind": "voc12", "root": "data/VOCdevkit/VOC2012", "sbd": "data/SBD", "test": True}
    study = STUDY | {
        "dataset": dataset,
        "refined_splits": ["train"],
        "shards": {"train": 1, "val": 1, "test": 2},
    }

    def run(folder: Path) -> None:
        workflow = Workflow.create(folder, study)
        VocTree(folder / "data").write()
        workflow.snakemake("all", "voc_submission")

    return Workflow(once("finished_voc", run))


@pytest.fixture
def workflow(finished: Workflow, tmp_path: Path) -> Workflow:
    """A copy of the finished run, times of files and Snakemake's memory included, to change."""
    return Workflow(shutil.copytree(finished.folder, tmp_path / "workflow"))


@pytest.fixture
def new_workflow(tmp_path: Path) -> Workflow:
    """The workflow before its first run, with a study that has yet to say what its data set is."""
    study = {key: value for key, value in STUDY.items() if key != "dataset"}
    folder = tmp_path / "workflow"
    folder.mkdir()
    return Workflow.create(folder, study)


@pytest.fixture
def voc_workflow(finished_voc: Workflow, tmp_path: Path) -> Workflow:
    """A copy of the finished run on VOC, to change."""
    return Workflow(shutil.copytree(finished_voc.folder, tmp_path / "voc"))


@pytest.fixture
def voc_study(tmp_path: Path) -> Callable[[str], Workflow]:
    """Makes the workflow with one of `studies/`, as it is, and the miniature where it looks for VOC 2012."""

    def place(name: str) -> Workflow:
        VocTree(tmp_path).write()
        study = (ROOT / "studies" / f"{name}.yaml").read_text("utf-8")
        return Workflow.create(tmp_path, yaml.safe_load(study))

    return place


@dataclass(frozen=True)
class VocTree:
    """PASCAL VOC 2012 and SBD in miniature: folders, lists, annotations and masks, with drawn scenes."""

    folder: Path

    OFFICIAL: ClassVar = {
        "train": ("2007_000032", "2007_000039", "2008_000015", "2008_000019"),
        "val": ("2007_000033", "2007_000042", "2009_000080"),
        "test": ("2008_000006", "2010_000099", "2011_000101"),
    }
    SBD: ClassVar = {
        "train": ("2008_000002", "2008_000003", "2008_000015", "2009_000080"),
        "val": ("2007_000033", "2008_000008", "2011_000003"),
    }
    ALL_DIFFICULT = "2008_000003"
    CLASSES = ("bird", "cat", "cow", "dog", "sheep")
    """Of the drawn animals, one for each kind."""
    VALUES = (3, 8, 10, 12, 17)

    @property
    def root(self) -> Path:
        """The root of VOC 2012."""
        return self.folder / "VOCdevkit" / "VOC2012"

    @property
    def sbd(self) -> Path:
        """The root of SBD."""
        return self.folder / "SBD"

    def config(self, **changes: Any) -> Voc12:
        """The section `dataset` that reads this tree."""
        return Voc12.model_validate({"kind": "voc12", "root": str(self.root), "sbd": str(self.sbd)} | changes)

    def write(self) -> None:
        """Write all of it."""
        for name in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation"):
            (self.root / name).mkdir(parents=True)
        self.sbd.mkdir()
        for name, ids in self.OFFICIAL.items():
            self.list(name, ids)
        for name, ids in self.SBD.items():
            (self.sbd / f"{name}.txt").write_text("\n".join(ids) + "\n")
        for image_id in sorted({*sum(self.OFFICIAL.values(), ()), *sum(self.SBD.values(), ())}):
            self.draw(image_id)

    def list(self, name: str, ids: Iterable[str]) -> None:
        """Write an official list."""
        path = self.root / "ImageSets" / "Segmentation" / f"{name}.txt"
        path.write_text("".join(f"{image_id}\n" for image_id in ids))

    def draw(self, image_id: str) -> None:
        """Draw an image, its annotation unless it is of test, and its mask if VOC has it."""
        photograph, kinds = draw_scene(np.random.default_rng(int(image_id.replace("_", ""))), 64)
        jpeg = self.root / "JPEGImages" / f"{image_id}.jpg"
        Image.fromarray(photograph).save(jpeg, quality=92, subsampling="4:4:4")
        if image_id in self.OFFICIAL["test"]:
            return
        shown = [kind for kind in np.unique(kinds).tolist() if 0 < kind < 255]
        difficult = image_id == self.ALL_DIFFICULT
        self.annotate(image_id, [(self.CLASSES[kind - 1], difficult) for kind in shown])
        if image_id in (*self.OFFICIAL["train"], *self.OFFICIAL["val"]):
            values = np.arange(256, dtype=np.uint8)
            values[1:6] = self.VALUES
            palette_image(values[kinds]).save(self.root / "SegmentationClass" / f"{image_id}.png")

    def annotate(self, image_id: str, objects: Iterable[tuple[str, bool]]) -> None:
        """Write an annotation as VOC does, with a part that is no object of its own."""
        lines = [
            f"<object><name>{name}</name><pose>Left</pose><difficult>{difficult:d}</difficult>"
            "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
            "<part><name>head</name></part></object>"
            for name, difficult in objects
        ]
        head = f"<annotation><folder>VOC2012</folder><filename>{image_id}.jpg</filename>"
        annotation = self.root / "Annotations" / f"{image_id}.xml"
        annotation.write_text("\n".join([head, *lines, "</annotation>\n"]))


@pytest.fixture(scope="session")
def voc_tree_to_copy(tmp_path_factory: pytest.TempPathFactory) -> VocTree:
    """A tree that no test may change."""
    tree = VocTree(tmp_path_factory.mktemp("voc"))
    tree.write()
    return tree


@pytest.fixture
def voc_tree(voc_tree_to_copy: VocTree, tmp_path: Path) -> VocTree:
    """A tree to change."""
    return VocTree(shutil.copytree(voc_tree_to_copy.folder, tmp_path / "data"))
