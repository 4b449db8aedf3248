"""Bundles: what a trained network takes along, what it gives anywhere, and what is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from safetensors.torch import load_file, save_file

import wsss
from wsss.data import ImageRow, read_image
from wsss.models.affinitynet import build_affinitynet
from wsss.models.checkpoints import Restored
from wsss.models.classifier import build_classifier
from wsss.models.segmenter import build_segmenter
from wsss.runtime.compute import Compute
from wsss.stages.bundle.card import markdown_text, model_card
from wsss.stages.bundle.writing import provenance_of, write_bundle
from wsss.stages.cams.classifier import classify, compute_cams
from wsss.stages.segmentation import segment
from wsss.study.bundle import Provenance, parse_bundle
from wsss.study.config import AffinityNet, Segmenter, Study, load_study
from wsss.study.params import BundleAffinityNet, BundleClassifier, BundleSegmenter
from wsss.study.provenance import ArtifactManifest, file_digest, sealed, unsealed

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("dog", "person")
CPU = Compute(torch.device("cpu"), "float32")
PROVENANCE = Provenance(
    study="tiny",
    wsss="0.1.0",
    code="c0de",
    inputs={"results/tiny/dataset/train.tsv": "d1gest"},
    seed=3,
    versions={"torch": "2"},
    training_images=12,
    training_images_of_class={"dog": 8, "person": 7},
)
STUDY = {"name": "tiny", "precision": "float32"}
SCORES = {
    "split": "val",
    "scored_images": 5,
    "miou": 0.5,
    "iou": {"background": 0.9, "dog": 0.25, "person": None},
    "train": {"split": "train", "scored_images": 0, "miou": None, "iou": {}},
}


def write(folder: Path, network: str, study: Study, **scores: Any) -> Any:
    """Write the bundle of an untrained network, always the same, and return the network."""
    torch.manual_seed(0)
    section, params, built = {
        "segmenter": lambda: (Segmenter(), BundleSegmenter.of(study), build_segmenter(Segmenter(), 3)),
        "classifier": lambda: (
            study.classifier,
            BundleClassifier.of(study),
            build_classifier(study.classifier, 2),
        ),
        "affinitynet": lambda: (AffinityNet(), BundleAffinityNet.of(study), build_affinitynet(AffinityNet())),
    }[network]()
    write_bundle(folder, Restored(built.eval(), section, NAMES), params, PROVENANCE, scores)
    return CPU.place(built)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segmentation network."""
    folder = tmp_path_factory.mktemp("bundle") / "segmenter"
    write(folder, "segmenter", load_study(STUDY), segmentation=SCORES)
    return folder


@pytest.fixture
def damaged(bundle: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Smooth random images of three sizes."""
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(0)
    paths = []
    for number, (height, width) in enumerate([(40, 56), (33, 47), (40, 56), (64, 24), (33, 47)]):
        coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        paths.append(folder / f"{number}.png")
        coarse.resize((width, height), Image.Resampling.BICUBIC).save(paths[-1])
    return paths


def rows_of(paths: list[Path], labels: tuple[int, ...] = ()) -> list[ImageRow]:
    sizes = {path: read_image(path).shape[:2] for path in paths}
    return [ImageRow(path.stem, path, None, "val", False, labels, *sizes[path], "") for path in paths]


# What a bundle holds


def test_it_has_three_files_and_the_same_bytes_each_time(bundle: Path, tmp_path: Path) -> None:
    write(tmp_path / "again", "segmenter", load_study(STUDY), segmentation=SCORES)
    names = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert names.keys() == {"weights.safetensors", "model.json", "README.md"}
    assert names == {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}


def test_its_description_says_how_to_use_it_and_what_made_it(bundle: Path) -> None:
    facts = json.loads((bundle / "model.json").read_text("utf-8"))
    assert facts["network"] == "segmenter"
    assert facts["class_names"] == ["dog", "person"]
    assert facts["value_names"] == ["background", "dog", "person"]
    assert facts["normalization"]["mean"] == [0.485, 0.456, 0.406]
    assert facts["segmentation"]["scales"] == [1.0]
    assert facts["section"]["head"] == "deeplabv3"
    assert facts["weights_digest"] == file_digest(bundle / "weights.safetensors")
    assert facts["provenance"] == PROVENANCE.model_dump(mode="json")


def test_the_model_card_says_what_it_is_and_how_good(bundle: Path) -> None:
    card = (bundle / "README.md").read_text("utf-8")
    assert "# tiny: segmentation network" in card
    assert "| 1 | dog | 8 | 25.0 |" in card
    assert "| 2 | person | 7 | – |" in card
    assert "mIoU 50.0 on 5 images of val with masks." in card
    assert "IoU on train" not in card
    assert "Image-level labels alone" in card
    assert 'wsss.load_model("path/of/this/folder")' in card


def test_the_model_card_counts_corrected_masks(bundle: Path) -> None:
    facts = unsealed(json.loads((bundle / "model.json").read_text("utf-8")))
    facts["provenance"]["corrected_masks"] = 4
    card = model_card(parse_bundle(facts), {}, 1000)
    assert "masks corrected by hand for 4 of 12" in " ".join(card.split())
    assert "There were no true masks to score it on." in card


@pytest.mark.parametrize(
    ("network", "scores", "said"),
    [
        (
            "classifier",
            {"classifier": {"split": "val", "scored_images": 6, "map": 0.75,
                            "average_precision": {"dog": 1.0, "person": 0.5}}},
            ["mAP 75.0 on 6 images of val", "| 1 | dog | 8 | 100.0 |"],
        ),
        (
            "affinitynet",
            {"affinities": {"scored_images": 2, "beta": 8.0, "equal": 0.9, "different": 0.125}},
            ["to the power 8", "0.900 where their classes are equal, 0.125 where they differ"],
        ),
    ],
)  # fmt: skip
def test_the_model_cards_of_the_other_networks(
    tmp_path: Path, network: str, scores: dict[str, Any], said: list[str]
) -> None:
    write(tmp_path, network, load_study(STUDY), **scores)
    card = (tmp_path / "README.md").read_text("utf-8")
    assert all(sentence in card for sentence in said), card


def test_names_of_classes_cannot_break_the_card() -> None:
    assert markdown_text("a|b <img> *x*\n# y") == r"a\|b &lt;img&gt; \*x\* \# y"


def test_the_provenance_is_that_of_the_training(tmp_path: Path) -> None:
    from wsss.data import Manifest
    from wsss.results import write_manifest

    made = ArtifactManifest(
        artifact="c.pt", rule="train_segmenter", config={}, code={}, inputs={"train.tsv": "d"}, seed=5,
        versions={"torch": "2"}, device="cpu", seconds=1.5, peak_memory_mb=100, created="2026-01-01",
    )  # fmt: skip
    write_manifest(tmp_path / "c.pt", made)
    rows = [
        ImageRow(str(number), Path("x"), None, "train", False, labels, 8, 8, "")
        for number, labels in enumerate([(0,), (0, 1), ()])
    ]
    found = provenance_of("mine", tmp_path / "c.pt.json", Manifest(NAMES, tuple(rows)), 2)
    assert (found.study, found.seed, found.inputs) == ("mine", 5, {"train.tsv": "d"})
    assert found.corrected_masks == 2
    assert (found.training_images, found.training_images_of_class) == (3, {"dog": 2, "person": 1})


# What a network gives


@pytest.mark.parametrize(
    "segmentation",
    [{}, {"scales": [0.5, 1.0], "flip": True}, {"refine": "dense_crf"}],
    ids=["plain", "scales and mirror images", "dense CRF"],
)
def test_masks_are_those_of_the_stage_bit_for_bit(
    tmp_path: Path, photographs: list[Path], segmentation: dict[str, Any]
) -> None:
    study = load_study({**STUDY, "segmentation": segmentation})
    network = write(tmp_path, "segmenter", study)
    crf = study.dense_crf if study.segmentation.refine == "dense_crf" else None
    expected = dict(segment(network, rows_of(photographs), study.segmentation, CPU, crf))
    model = wsss.SegmentationModel.load(tmp_path, "cpu")
    for path in photographs:
        np.testing.assert_array_equal(model.predict(path).mask, expected[path.stem])


def test_several_images_give_what_each_gives_by_itself(bundle: Path, photographs: list[Path]) -> None:
    model = wsss.SegmentationModel.load(bundle, "cpu")
    alone = [model.predict(path, scores=True) for path in photographs]
    for several in (
        model.predict(photographs, scores=True),
        model.predict(tuple(map(str, photographs)), scores=True),
        list(model.predict(iter(photographs), scores=True)),
    ):
        for one, other in zip(alone, several, strict=True):
            np.testing.assert_array_equal(one.mask, other.mask)
            np.testing.assert_allclose(one.scores, other.scores, rtol=0, atol=1e-6)


def test_an_iterator_is_read_as_it_is_used(bundle: Path, photographs: list[Path]) -> None:
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield photographs[0]

    assert next(wsss.SegmentationModel.load(bundle, "cpu").predict(endless())).mask.shape == (40, 56)
    assert read < 100


def test_paths_pillow_images_and_arrays_are_the_same(bundle: Path, photographs: list[Path]) -> None:
    model = wsss.SegmentationModel.load(bundle, "cpu")
    expected = model.predict(photographs[1]).mask
    assert expected.shape == (33, 47)
    with Image.open(photographs[1]) as picture:
        np.testing.assert_array_equal(model.predict(picture).mask, expected)
    np.testing.assert_array_equal(model.predict(read_image(photographs[1])).mask, expected)


def test_pillow_images_are_turned_upright_as_files_are(
    bundle: Path, photographs: list[Path], tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    with Image.open(photographs[3]) as picture:
        picture.save(tmp_path / "turned.png", exif=exif)
    model = wsss.SegmentationModel.load(bundle, "cpu")
    with Image.open(tmp_path / "turned.png") as picture:
        mask = model.predict(picture).mask
    assert mask.shape == (24, 64)
    np.testing.assert_array_equal(mask, model.predict(tmp_path / "turned.png").mask)


def test_shares_and_scores(bundle: Path, photographs: list[Path]) -> None:
    found = wsss.SegmentationModel.load(bundle, "cpu").predict(photographs[0], scores=True)
    assert found.class_names == NAMES
    assert list(found.shares) == ["background", "dog", "person"]
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares["dog"] == pytest.approx((found.mask == 1).mean())
    assert found.scores is not None
    np.testing.assert_array_equal(found.scores.argmax(0), found.mask)
    np.testing.assert_allclose(found.scores.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 3), np.float32),
        np.zeros((3, 20, 20), np.uint8),
        7,
        None,
    ],
)
def test_what_is_no_image_is_refused(bundle: Path, image: Any) -> None:
    with pytest.raises(ValueError, match=r"expected a path, a Pillow image or an array \(H, W, 3\) uint8"):
        wsss.SegmentationModel.load(bundle, "cpu").predict(image)


def test_an_unreadable_file_is_named(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("no image")
    model = wsss.SegmentationModel.load(bundle, "cpu")
    with pytest.raises(ValueError, match=r"a\.jpg: not an image"):
        model.predict(tmp_path / "a.jpg")
    with pytest.raises(ValueError, match="a folder, expected an image"):
        model.predict(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg"):
        model.predict(tmp_path / "gone.jpg")


@pytest.mark.parametrize(
    ("classifier", "cams"),
    [({}, {}), ({"refit": 0.5}, {"weights": "refit"})],
    ids=["its own weights", "refitted weights"],
)
def test_a_classifier_gives_probabilities_and_the_cams_of_the_stage(
    classifier: dict[str, Any], cams: dict[str, Any], tmp_path: Path, photographs: list[Path]
) -> None:
    seen = {"scales": [1.0, 0.5], "flip": True, **cams}
    study = load_study({**STUDY, "classifier": classifier, "cams": seen})
    network = write(tmp_path, "classifier", study)
    model = wsss.ClassificationModel.load(tmp_path, "cpu")
    rows = rows_of(photographs, labels=(0, 1))
    logits = {row.id: values.sigmoid() for row, values in classify(network, rows, compute=CPU)}
    stacks = {
        image_id: (cams, values) for image_id, cams, values in compute_cams(network, rows, study.cams, CPU)
    }
    for path, found in zip(photographs, model.predict(photographs, labels=[2, 1]), strict=True):
        expected, values = stacks[path.stem]
        np.testing.assert_array_equal(found.cams.astype(np.float16), expected)
        assert found.labels.tolist() == values.tolist() == [1, 2]
        assert list(found.probabilities) == list(NAMES)
        np.testing.assert_allclose(list(found.probabilities.values()), logits[path.stem], atol=1e-6)


def test_a_classifier_computes_the_cams_of_what_it_finds(tmp_path: Path, photographs: list[Path]) -> None:
    write(tmp_path, "classifier", load_study(STUDY))
    model = wsss.ClassificationModel.load(tmp_path, "cpu")
    everything = model.predict(photographs[0], threshold=0)
    likely = max(everything.probabilities, key=everything.probabilities.__getitem__)
    found = model.predict(photographs[0], threshold=everything.probabilities[likely])
    assert [NAMES[value - 1] for value in found.labels] == [likely]
    assert model.predict(photographs[0], threshold=1.0).cams.shape == (0, 40, 56)
    with pytest.raises(ValueError, match=r"labels: got \[0, 3\], expected mask values 1 … 2"):
        model.predict(photographs[0], labels=[0, 1, 3])


def test_it_works_in_an_empty_folder_without_the_workflow(
    bundle: Path, photographs: list[Path], tmp_path: Path
) -> None:
    shutil.copytree(bundle, tmp_path / "mine")
    shutil.copy(photographs[0], tmp_path / "photograph.png")
    code = """
import numpy, sys, wsss
found = wsss.load_model("mine").predict("photograph.png")
numpy.save("mask.npy", found.mask)
print(sorted(name for name in sys.modules if name.startswith(("h5py", "snakemake", "matplotlib"))))
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=True,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert "snakemake" not in done.stdout
    expected = wsss.SegmentationModel.load(bundle, "cpu").predict(photographs[0]).mask
    np.testing.assert_array_equal(np.load(tmp_path / "mask.npy"), expected)


def test_the_stored_normalisation_counts(damaged: Path, photographs: list[Path]) -> None:
    change(damaged, lambda facts: facts["normalization"].update(mean=[0.0, 0.0, 0.0], bgr=True))
    model = wsss.SegmentationModel.load(damaged, "cpu")
    normalization = model.network.backbone.normalization
    assert normalization.bgr
    assert normalization.mean == (0.0, 0.0, 0.0)


# What is refused


def change(folder: Path, edit: Callable[[dict[str, Any]], Any]) -> None:
    facts = unsealed(json.loads((folder / "model.json").read_text("utf-8")))
    edit(facts)
    (folder / "model.json").write_text(json.dumps(sealed(facts)), "utf-8")


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda facts: facts.pop("class_names"), "class_names: missing"),
        (lambda facts: facts["section"].update(x=1), "section.x: an unknown key"),
        (lambda facts: facts.pop("network"), "network: missing"),
        (
            lambda facts: facts.update(network="gan"),
            "network: found 'gan', expected one of classifier, affinitynet",
        ),
        (
            lambda facts: facts.update(format="wsss bundle 9"),
            "format: found 'wsss bundle 9', expected 'wsss bundle 1'",
        ),
        (lambda facts: facts.update(network="detector"), "found"),
        (
            lambda facts: facts.update(pickle="os.system"),
            "pickle: an unknown key, which may change what the network does",
        ),
        (lambda facts: facts["section"].update(backbone="resnet19"), "section.backbone"),
        (lambda facts: facts["section"].update(crop_size=10**9 + 1), "section.crop_size"),
        (lambda facts: facts["segmentation"].update(scales=[]), "segmentation.scales"),
        (lambda facts: facts["normalization"].update(std=[0, 1, 1]), "normalization: "),
        (lambda facts: facts.update(class_names=[str(n) for n in range(255)]), "class_names"),
        (lambda facts: facts.update(value_names=["background"]), "value_names"),
        (lambda facts: facts.update(weights_digest="0"), "weights.safetensors: damaged, or not the weights"),
        (
            lambda facts: facts["section"].update(backbone="resnet18", weights="none"),
            "does not fit the network",
        ),
    ],
)
def test_a_wrong_description_is_refused_with_its_key(damaged: Path, edit: Any, said: str) -> None:
    change(damaged, edit)
    with pytest.raises(ValueError, match=r"model\.json|weights\.safetensors") as error:
        wsss.load_model(damaged)
    assert said in str(error.value)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b'"text"', b" " * 5_000_000])
def test_a_description_that_is_none_is_refused(damaged: Path, content: bytes) -> None:
    (damaged / "model.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.json: "):
        wsss.load_model(damaged)


def with_digest(folder: Path) -> None:
    change(folder, lambda facts: facts.update(weights_digest=file_digest(folder / "weights.safetensors")))


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x04K\x01.", (10**12).to_bytes(8, "little") + b"{}", (2).to_bytes(8, "little") + b"{}"],
    ids=["empty", "a pickle", "a header of a terabyte", "no tensors"],
)
def test_foreign_weights_are_refused(damaged: Path, content: bytes) -> None:
    (damaged / "weights.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.safetensors: damaged"):
        wsss.load_model(damaged)
    with_digest(damaged)
    with pytest.raises(ValueError, match=r"weights\.safetensors: "):
        wsss.load_model(damaged)


def test_a_flipped_bit_of_the_weights_is_found(damaged: Path) -> None:
    content = bytearray((damaged / "weights.safetensors").read_bytes())
    content[-100] ^= 1
    (damaged / "weights.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.safetensors: damaged"):
        wsss.load_model(damaged)


def test_tensors_of_another_shape_are_named(damaged: Path) -> None:
    path = damaged / "weights.safetensors"
    state = load_file(path)
    name = next(name for name in state if name.endswith("weight"))
    save_file({**state, name: torch.zeros(1)}, path)
    with_digest(damaged)
    with pytest.raises(ValueError, match="does not fit the network") as error:
        wsss.load_model(damaged)
    assert name in str(error.value)


def test_folders_that_are_no_bundle(tmp_path: Path, bundle: Path) -> None:
    with pytest.raises(ValueError, match=r"gone: no such folder, expected a bundle"):
        wsss.load_model(tmp_path / "gone")
    with pytest.raises(ValueError, match=r"no bundle, model\.json and weights\.safetensors missing"):
        wsss.load_model(tmp_path)
    with pytest.raises(ValueError, match="is a file, expected a bundle"):
        wsss.load_model(bundle / "model.json")


def test_another_network_than_expected_and_unknown_devices(bundle: Path) -> None:
    with pytest.raises(ValueError, match="a bundle of a segmenter, expected ClassificationModel"):
        wsss.ClassificationModel.load(bundle)
    with pytest.raises(ValueError, match="device: gpu0"):
        wsss.load_model(bundle, "gpu0")
