"""`wsss predict` and `wsss export`, and the shards of `snakemake predict`."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

import wsss
from wsss.__main__ import app
from wsss.data import read_mask, write_mask
from wsss.data.scenes import draw_scene
from wsss.models.checkpoints import Restored
from wsss.models.classifier import build_classifier
from wsss.models.segmenter import build_segmenter
from wsss.stages.bundle.writing import write_bundle
from wsss.stages.masks import list_masks
from wsss.stages.predict import collect, find_images, named_below, predict_files, write_shard
from wsss.study.bundle import Provenance
from wsss.study.cells import cell
from wsss.study.config import Classifier, Segmenter, load_study
from wsss.study.params import BundleClassifier, BundleSegmenter
from wsss.study.sources import photographs

NAMES = ("=dog", "person")
STUDY = load_study({"precision": "float32"})


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmentation network and a classifier."""
    folder = tmp_path_factory.mktemp("bundles")
    made = Provenance(
        study="s", wsss="1", code="", inputs={}, seed=0, versions={}, training_images=1,
        training_images_of_class={},
    )  # fmt: skip
    torch.manual_seed(0)
    segmenter = Restored(build_segmenter(Segmenter(), 3).eval(), Segmenter(), NAMES)
    classifier = Restored(build_classifier(Classifier(), 2).eval(), Classifier(), NAMES)
    write_bundle(folder / "segmenter", segmenter, BundleSegmenter.of(STUDY), made, {})
    write_bundle(folder / "classifier", classifier, BundleClassifier.of(STUDY), made, {})
    return folder


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs in folders, of which one is none; the working directory is above them."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(["a.jpg", "b.png", "sub/a.jpg", "sub/c.webp"]):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw_scene(np.random.default_rng(number), 48 + 8 * number)[0]).save(path)
    (tmp_path / "photos" / "broken.jpg").write_text("no image")
    (tmp_path / "photos" / "notes.txt").write_text("no image either")
    return Path("photos")


def wsss_command(*arguments: str | Path) -> Result:
    """Run a command, whose logging ends with it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def lines_of(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


# Which images


def test_folders_files_and_patterns(photos: Path) -> None:
    everything = ["a", "b", "broken", "sub/a", "sub/c"]
    assert list(find_images(["photos"])) == everything
    assert list(find_images([str(photos.absolute())])) == everything
    assert find_images(["photos/sub/*.webp", "photos/b.png"]) == {
        "c": Path("photos/sub/c.webp"),
        "b": Path("photos/b.png"),
    }


def test_images_that_differ_in_their_extension_alone(photos: Path) -> None:
    (photos / "a.png").write_bytes((photos / "b.png").read_bytes())
    assert list(find_images(["photos"])) == ["a.jpg", "a.png", "b", "broken", "sub/a", "sub/c"]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (["gone.jpg"], "gone.jpg: no such file or folder"),
        (["photos/*.bmp"], "photos/*.bmp: no such file or folder"),
        (["photos/a.jpg", "photos/sub/a.jpg"], "photos/a.jpg and photos/sub/a.jpg have the same name"),
        (["empty"], "empty: no images in this folder"),
    ],
)
def test_what_cannot_be_found(photos: Path, named: list[str], said: str) -> None:
    Path("empty").mkdir()
    with pytest.raises(ValueError, match=r"no such file|the same name|no images") as error:
        find_images(named)
    assert said in str(error.value)


# wsss predict


def test_masks_overlays_and_classes(bundles: Path, photos: Path) -> None:
    done = wsss_command("predict", bundles / "segmenter", photos, "--out", "out")
    assert done.exit_code == 1
    assert done.stdout == "4 images: out/ has masks/, overlays/ and classes.csv\n"
    assert done.stderr.splitlines()[-1] == "not read: photos/broken.jpg: not an image, or an unknown format"
    model = wsss.SegmentationModel.load(bundles / "segmenter", "cpu")
    for image_id, path in find_images(["photos"]).items():
        if image_id != "broken":
            mask = read_mask(Path("out/masks") / f"{image_id}.png")
            np.testing.assert_array_equal(mask, model.predict(path).mask)
            with Image.open(Path("out/overlays") / f"{image_id}.jpg") as overlay:
                assert (overlay.height, overlay.width) == mask.shape
    assert not Path("out/masks/broken.png").exists()
    assert Path("out/masks/classes.txt").read_text() == "=dog\nperson\n"
    head, *rows = lines_of(Path("out/classes.csv"))
    assert head == ["image", "classes", "background", "'=dog", "person"]
    assert [row[0] for row in rows] == [
        f"photos/{name}" for name in ("a.jpg", "b.png", "sub/a.jpg", "sub/c.webp")
    ]
    for row in rows:
        shares = dict(zip(("background", *NAMES), map(float, row[2:]), strict=True))
        assert sum(shares.values()) == pytest.approx(1, abs=2e-4)
        assert row[1] == cell("; ".join(name for name in NAMES if shares[name] > 0))


def test_without_overlays_and_without_problems(bundles: Path, photos: Path) -> None:
    done = wsss_command("predict", bundles / "segmenter", "photos/b.png", "--out", "out", "--no-overlays")
    assert done.exit_code == 0
    assert done.stdout == "1 images: out/ has masks/ and classes.csv\n"
    assert not Path("out/overlays").exists()


def test_a_classifier_writes_probabilities(bundles: Path, photos: Path) -> None:
    done = wsss_command("predict", bundles / "classifier", "photos/sub", "--out", "out")
    assert done.exit_code == 0
    assert [path.name for path in Path("out").iterdir()] == ["classes.csv"]
    head, *rows = lines_of(Path("out/classes.csv"))
    assert head == ["image", "classes", "'=dog", "person"]
    found = wsss.ClassificationModel.load(bundles / "classifier", "cpu").predict("photos/sub/a.jpg")
    assert [float(share) for share in rows[0][2:]] == pytest.approx(
        list(found.probabilities.values()), abs=1e-4
    )


@pytest.mark.parametrize(
    "arguments", [["gone", "photos"], ["BUNDLE", "nowhere"], ["BUNDLE", "photos", "--device", "x"]]
)
def test_what_cannot_start(bundles: Path, photos: Path, arguments: list[str]) -> None:
    given = [str(bundles / "segmenter") if argument == "BUNDLE" else argument for argument in arguments]
    done = wsss_command("predict", *given, "--out", "out")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert not Path("out").exists()


# snakemake predict


def test_shards_together_are_what_one_process_writes(
    bundles: Path, photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    wsss_command("predict", bundles / "segmenter", photos, "--out", "out")
    model = wsss.SegmentationModel.load(bundles / "segmenter", "cpu")
    files = list(photographs(photos).values())
    for number, part in enumerate([files[:2], files[2:]]):
        images = named_below(photos, part)
        write_shard(
            Path(f"in/shards/{number}.tsv"), list(predict_files(model, images, Path("in"))), model.value_names
        )
    write_mask("in/masks/of_a_photograph_that_is_gone.png", np.zeros((8, 8), np.uint8))
    collect(Path("in/classes.csv"), [Path("in/shards/0.tsv"), Path("in/shards/1.tsv")])
    assert Path("in/classes.csv").read_bytes() == Path("out/classes.csv").read_bytes()
    for name in ("a.png", "sub/c.png", "classes.txt", "index.tsv"):
        assert (Path("in/masks") / name).read_bytes() == (Path("out/masks") / name).read_bytes()
    assert not Path("in/masks/of_a_photograph_that_is_gone.png").exists()
    (warning,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert "photos/broken.jpg: not an image" in warning.getMessage()


def test_a_damaged_table_of_a_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.tsv").write_text("id\tfile\nx\ty\n")
    with pytest.raises(ValueError, match=r"0\.tsv: no table of predictions"):
        collect(tmp_path / "classes.csv", [tmp_path / "0.tsv"])


# wsss export masks


@pytest.fixture
def masks(photos: Path) -> Path:
    for name in ("a", "sub/c"):
        write_mask(f"masks/{name}.png", np.tile(np.array([0, 1, 2, 255], np.uint8), (8, 3)))
    list_masks(Path("masks"), {"a": photos / "a.jpg", "sub/c": photos / "sub/c.webp"}, NAMES)
    return Path("masks")


def test_masks_for_labelme(masks: Path) -> None:
    done = wsss_command("export", "masks", masks, "--labelme", "--out", "json")
    assert done.exit_code == 0
    assert done.stdout == "wrote 2 masks: json\n"
    content = json.loads(Path("json/sub/c.json").read_text())
    assert content["imagePath"] == "../../photos/sub/c.webp"
    assert {shape["label"] for shape in content["shapes"]} == {*NAMES, "unknown"}
    assert Path("json/classes.txt").read_text() == "=dog\nperson\n"


def test_masks_for_cvat_and_coco(masks: Path) -> None:
    assert wsss_command("export", "masks", masks, "--cvat", "--out", "masks.xml").exit_code == 0
    assert 'name="c.webp"' in Path("masks.xml").read_text()
    for options in ([], ["--polygons"]):
        assert (
            wsss_command("export", "masks", masks, "--coco", *options, "--out", "masks.json").exit_code == 0
        )
        content = json.loads(Path("masks.json").read_text())
        assert [image["file_name"] for image in content["images"]] == ["a.jpg", "c.webp"]
        assert isinstance(content["annotations"][0]["segmentation"], list if options else dict)


def test_masks_of_others_with_a_list_of_classes_and_a_folder_of_images(masks: Path, photos: Path) -> None:
    (masks / "index.tsv").unlink()
    (masks / "classes.txt").rename("names.txt")
    without = ["export", "masks", masks, "--labelme", "--out", "json"]
    assert "masks/classes.txt: no such file; --classes names" in wsss_command(*without).stderr
    named = [*without, "--classes", "names.txt"]
    assert "masks/index.tsv: no such file; --images names" in wsss_command(*named).stderr
    assert wsss_command(*named, "--images", photos).exit_code == 0
    assert json.loads(Path("json/a.json").read_text())["imagePath"] == "../photos/a.jpg"


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            lambda: write_mask("masks/a.png", np.full((8, 8), 7, np.uint8)),
            "masks/a.png: values [7], expected 0 … 2",
        ),
        (lambda: write_mask("masks/z.png", np.zeros((8, 8), np.uint8)), "masks/z.png: no image 'z'"),
        (
            lambda: Path("masks/classes.txt").write_text("a\na\n"),
            "masks/classes.txt: expected 1 … 254 different",
        ),
        (lambda: Path("masks/index.tsv").write_text("id\tfile\nx\ty\n"), "masks/index.tsv: lines without id"),
    ],
)
def test_masks_that_cannot_be_handed_over(masks: Path, edit, said: str) -> None:
    edit()
    done = wsss_command("export", "masks", masks, "--labelme", "--out", "json")
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize("formats", [[], ["--labelme", "--coco"]])
def test_one_format_at_a_time(masks: Path, formats: list[str]) -> None:
    done = wsss_command("export", "masks", masks, *formats, "--out", "x")
    assert done.exit_code == 2
    assert done.stderr == "give one of --labelme, --cvat and --coco\n"
