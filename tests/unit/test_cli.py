"""The command `wsss`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from wsss.__main__ import app
from wsss.models.backbones import build_backbone
from wsss.stages.voc_submission import write_submission
from wsss.study.config import Study
from wsss.study.config.text import commented_yaml, schema_yaml
from wsss.study.provenance import ArtifactManifest, file_digest
from wsss.study.verification import Verified

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with a configuration."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text("{}")
    return tmp_path


def wsss(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def said(*arguments: str | Path, status: int = 0) -> str:
    """What a command prints, on stdout or with status 2 on stderr."""
    result = wsss(*arguments)
    assert result.exit_code == status, result.output
    assert not (result.stdout if status == 2 else result.stderr)
    return result.stderr if status == 2 else result.stdout


# Help


@pytest.mark.parametrize(
    "command",
    [
        *([], ["run"], ["check"], ["branch"], ["compare"], ["verify"], ["weights"], ["tables"], ["summary"]),
        *(["seeds"], ["report"], ["watch"], ["tensorboard"]),
        *(["voc-submission"], ["voc-submission", "check"], ["config"], ["config", "write"]),
        *(["predict"], ["export"], ["export", "model"], ["export", "masks"]),
    ],
)
def test_every_command_explains_itself(command: list[str]) -> None:
    usage, *lines = said(*command, "--help").splitlines()
    assert usage.startswith("Usage: ")
    assert f" {' '.join(command)} [OPTIONS]".replace("  ", " ") in usage
    assert len(lines) < 26
    assert not any(line.endswith("...") for line in lines), "the summary of a command is cut"


def test_help_needs_no_torch() -> None:
    code = """
import sys
from wsss.__main__ import app
try:
    app(["--help"])
except SystemExit:
    print("torch" in sys.modules)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "False"


def test_it_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "wsss", "--help"]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, cwd=ROOT)
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: wsss ")


# Configuration


def test_config_says_where_things_are(elsewhere: Path) -> None:
    Path("config.yaml").write_text("{name: mine, results: out}")
    assert said("config").splitlines() == [
        f"configuration: {elsewhere}/config.yaml (edited: name, results)",
        f"its schema:    {elsewhere}/schemas/config.schema.yaml",
        f"results:       {elsewhere}/out/mine",
    ]


def test_config_where_there_is_none_is_that_of_the_workflow(elsewhere: Path) -> None:
    Path("config.yaml").unlink()
    assert said("config").splitlines() == [
        f"configuration: {ROOT}/config.yaml (the defaults)",
        f"its schema:    {ROOT}/schemas/config.schema.yaml",
    ]
    Path("study.yaml").write_text("name: mine")
    assert said("config").splitlines()[-1] == f"results:       {elsewhere}/results/mine"


def test_config_of_the_defaults() -> None:
    assert "config.yaml (the defaults)" in said("config")


def test_config_write_makes_both_files() -> None:
    Path("config.yaml").unlink()
    assert said("config", "write") == "wrote config.yaml\nwrote schemas/config.schema.yaml\n"
    assert Path("config.yaml").read_text("utf-8") == commented_yaml(Study())
    assert Path("schemas/config.schema.yaml").read_text("utf-8") == schema_yaml(Study)
    assert said("config", "write") == "config.yaml and its schema are up to date\n"


def test_config_write_help_writes_nothing() -> None:
    before = Path("config.yaml").read_bytes()
    assert "--force" in said("config", "write", "--help")
    assert Path("config.yaml").read_bytes() == before
    assert not Path("schemas").exists()


@pytest.mark.parametrize(
    ("edited", "keys"),
    [
        ("{random_walk: {t: 9, beta: 12}}", "random_walk.t"),
        (
            "{classifier: {optimizer: {learning_rate: 1}}, seed: 1}",
            "classifier.optimizer.learning_rate, seed",
        ),
        ("{dataset: {kind: folder, root: photos}}", "dataset.kind, dataset.root"),
        ("{new_layer_factor: 1}", "new_layer_factor"),
        ("random_walk: 1", "random_walk"),
        ("[1, 2]", "config.yaml"),
        ("{", "config.yaml"),
    ],
)
def test_config_write_keeps_an_edited_configuration(edited: str, keys: str) -> None:
    Path("config.yaml").write_text(edited)
    message = said("config", "write", status=2)
    assert message.startswith(f"config.yaml: kept, because it was edited: {keys}. ")
    assert "--force" in message
    assert Path("config.yaml").read_text() == edited
    assert not Path("schemas").exists()
    assert "wrote config.yaml" in said("config", "write", "--force")
    assert Path("config.yaml").read_text("utf-8") == commented_yaml(Study())


def test_config_write_replaces_old_comments_and_missing_keys() -> None:
    Path("config.yaml").write_text("# an older comment\nseed: 0\nclassifier: {epochs: 30}\n")
    assert "wrote config.yaml" in said("config", "write")


def test_config_write_check_writes_nothing() -> None:
    lines = said("config", "write", "--check", status=1).splitlines()
    assert lines == [
        f"{name}: differs from the output of `wsss config write`"
        for name in ("config.yaml", "schemas/config.schema.yaml")
    ]
    assert Path("config.yaml").read_text() == "{}"
    said("config", "write")
    assert said("config", "write", "--check") == ""


def test_the_written_configuration_is_the_default_study() -> None:
    said("config", "write")
    assert Study.model_validate(yaml.safe_load(Path("config.yaml").read_text("utf-8"))) == Study()


# Results


def test_verify_without_results() -> None:
    assert said("verify", status=1) == "results/shapes: no results yet\n"


def test_verify_counts_what_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Verified(artifacts=2, files=3, size=1_200_000, stale=[], warnings=["pillow was 11, is 12"])
    monkeypatch.setattr("wsss.study.verification.verify", lambda folder, study: found)
    assert re.fullmatch(
        r"warning: pillow was 11, is 12\n"
        r"results/shapes: all 2 artifacts are up to date \(3 files, 1\.2 MB, in \d+\.\d s\)\n",
        said("verify"),
    )


def test_verify_lists_stale_results_of_the_overlays() -> None:
    folder = Path("results/mine/cams/train")
    folder.mkdir(parents=True)
    (folder / "00.npz.json").write_text("{")
    Path("mine.yaml").write_text("name: other")
    Path("name.yaml").write_text("name: mine")
    assert said("verify", "mine.yaml", "name.yaml", status=1).startswith(
        "results/mine/cams/train/00.npz: its manifest cannot be read\nresults/mine: 1 of 1 artifacts are not"
    )


@pytest.mark.parametrize("command", ["verify", "tables"])
def test_a_wrong_configuration_ends_a_command(command: str) -> None:
    assert "gone.yaml" in said(command, "gone.yaml", status=2)
    Path("config.yaml").write_text("{seed: x}")
    assert "seed: got 'x'" in said(command, status=2)


def test_tables_prints_the_tables_of_a_study() -> None:
    Path("overlay.yaml").write_text("name: mine\nresults: out")
    missing = said("tables", "overlay.yaml", status=2)
    assert missing.startswith("out/mine/tables/results.md: no such file. What writes it:\n")
    Path("out/mine/tables").mkdir(parents=True)
    Path("out/mine/tables/results.md").write_text("# α\n", encoding="utf-8")
    assert said("tables", "overlay.yaml") == "# α\n"


def test_summary_prints_scores_and_places() -> None:
    scores = {
        "value_names": ["background", "cat"],
        "iou": {"cat": 0.5},
        "miou": 0.5,
        "scored_images": 3,
        "split": "train",
    }
    for name in ("dataset", "scores"):
        Path("results/mine", name).mkdir(parents=True)
    Path("results/mine/scores/cams.json").write_text(json.dumps(scores))
    Path("results/mine/report.html").touch()
    text = said("summary", "results/mine")
    assert "50.0" in text
    assert "results/mine/report.html" in text
    Path("study.yaml").write_text("name: mine")
    assert said("summary", "study.yaml") == said("summary") == text


def test_summary_of_no_results() -> None:
    assert said("summary", "results/gone", status=2) == (
        "results/gone: no such file, expected the YAML file of a study\n"
    )
    Path("results/gone").mkdir(parents=True)
    assert said("summary", "results/gone", status=2).startswith("results/gone: no results of a study")
    Path("new.yaml").write_text("name: new")
    assert said("summary", "new.yaml", status=2).startswith("results/new: no results yet; what makes them:\n")


# Weights


def test_weights_reports_a_bad_file() -> None:
    Path("w.pth").write_bytes(b"hello")
    assert "w.pth" in said("weights", "w.pth", "small", status=1)
    assert "gone.pth" in said("weights", "gone.pth", "small", status=1)


def test_weights_that_fit() -> None:
    state = build_backbone("small", 8).state_dict()
    torch.save({**state, "fc8.weight": torch.zeros(1)}, "w.pth")
    assert said("weights", "w.pth", "small").splitlines() == [
        f"weights: w.pth: {len(state)} entries used for small",
        "weights: w.pth: not used: fc8.weight",
    ]
    assert "does not fit resnet18" in said("weights", "w.pth", "resnet18", status=1)


def test_weights_that_belong_to_another_backbone_do_not_fit() -> None:
    torch.save({"conv1.weight": torch.zeros(2, 2)}, "w.pth")
    assert "does not fit vgg16" in said("weights", "w.pth", "vgg16", status=1)


def test_weights_of_an_unknown_backbone() -> None:
    assert said("weights", "w.pth", "smal", status=2) == (
        "smal: there is no such backbone, did you mean 'small'?\n"
    )


# The archive for VOC's server


@pytest.fixture
def archive(voc_tree, tmp_path: Path) -> Path:
    """Masks of the tree's test images."""
    sizes = {}
    for image_id in voc_tree.OFFICIAL["test"]:
        with Image.open(voc_tree.root / "JPEGImages" / f"{image_id}.jpg") as image:
            sizes[image_id] = (image.height, image.width)
    masks = {image_id: np.zeros(size, np.uint8) for image_id, size in sizes.items()}
    write_submission(tmp_path / "results.tgz", masks.items(), sizes)
    return tmp_path / "results.tgz"


def test_a_sound_archive(voc_tree, archive: Path) -> None:
    text = said("voc-submission", "check", archive, "--root", voc_tree.root)
    assert text == f"{archive}: 3 masks, as the server expects them\n"


def test_an_archive_that_lacks_an_image(voc_tree, archive: Path) -> None:
    voc_tree.list("test", [*voc_tree.OFFICIAL["test"], "2007_000033"])
    text = said("voc-submission", "check", archive, "--root", voc_tree.root, status=1)
    assert text == "1 of the 4 images of test have no mask, e.g. 2007_000033\n"


@pytest.mark.parametrize("gone", ["ImageSets/Segmentation/test.txt", "JPEGImages/2010_000099.jpg"])
def test_a_tree_that_lacks_a_file(voc_tree, archive: Path, gone: str) -> None:
    (voc_tree.root / gone).unlink()
    assert gone in said("voc-submission", "check", archive, "--root", voc_tree.root, status=2)


# Readers that end early


@pytest.mark.parametrize("arguments", [["--help"], ["config"], ["config", "write"], ["verify"], ["wrong"]])
def test_a_reader_that_ends_early_ends_a_command_without_a_word(arguments: list[str]) -> None:
    Path("study.yaml").write_text("name: mine")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-m", "wsss", *arguments], text=True, **pipes) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # long before the first word
        said = process.stderr.read()
    assert "Traceback" not in said
    assert "BrokenPipe" not in said
    assert process.returncode != 0


def test_a_damaged_result_ends_a_command_with_a_sentence() -> None:
    page = Path("results/mine/tables/results.md")
    page.parent.mkdir(parents=True)
    page.write_text("| CAM | 48.0 |\n")
    made = ArtifactManifest(
        artifact=str(page), rule="write_tables", config={}, code={}, inputs={},
        outputs={str(page): file_digest(page)}, seed=None, versions={}, device="cpu", seconds=1,
        peak_memory_mb=1, created="2030-01-01",
    )  # fmt: skip
    Path(f"{page}.json").write_text(json.dumps(made.to_json()))
    Path("study.yaml").write_text("name: mine")
    command = [sys.executable, "-m", "wsss", "tables"]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "| CAM | 48.0 |\n"
    page.write_text("| CAM | 49.0 |\n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{page}: damaged or changed")
    assert "Traceback" not in done.stderr
