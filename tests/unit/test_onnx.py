"""`wsss export model`: ONNX and torch.export compute what PyTorch does, at any size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from typer.testing import CliRunner

import wsss
from wsss.__main__ import app
from wsss.models.affinitynet import build_affinitynet
from wsss.models.checkpoints import Restored
from wsss.models.classifier import build_classifier
from wsss.models.segmenter import build_segmenter
from wsss.stages.bundle.export import OPSET, ExportError, deployed, write_onnx
from wsss.stages.bundle.writing import write_bundle
from wsss.study.bundle import Provenance
from wsss.study.config import AffinityNet, Classifier, Segmenter, load_study
from wsss.study.params import BundleAffinityNet, BundleClassifier, BundleSegmenter

NAMES = ("dog", "person")
STUDY = load_study({"precision": "float32"})
SIZES = [(1, 50, 37), (3, 96, 64)]
MADE = Provenance(
    study="s",
    wsss="1",
    code="",
    inputs={},
    seed=0,
    versions={},
    training_images=1,
    training_images_of_class={},
)


def photographs(size: tuple[int, int, int]) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("segmenter")
    section = Segmenter(head="smp/unet")
    trained = Restored(build_segmenter(section, 3).eval(), section, NAMES)
    write_bundle(folder, trained, BundleSegmenter.of(STUDY), MADE, {})
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("classifier")
    trained = Restored(build_classifier(Classifier(), 2).eval(), Classifier(), NAMES)
    write_bundle(folder, trained, BundleClassifier.of(STUDY), MADE, {})
    return folder


@pytest.fixture(scope="module")
def files(segmenter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both files of the segmentation network."""
    folder = tmp_path_factory.mktemp("files")
    arguments = [
        "export",
        "model",
        segmenter,
        "--onnx",
        folder / "m.onnx",
        "--torch-export",
        folder / "m.pt2",
    ]
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    assert f"wrote {folder / 'm.onnx'}: ONNX, opset {OPSET}\n" in done.stdout
    assert f"wrote {folder / 'm.pt2'}: torch.export\n" in done.stdout
    return folder


@pytest.mark.parametrize("size", SIZES)
def test_onnx_computes_the_masks_of_the_bundle(
    files: Path, segmenter: Path, size: tuple[int, int, int]
) -> None:
    images = photographs(size)
    session = onnxruntime.InferenceSession(files / "m.onnx", providers=["CPUExecutionProvider"])
    logits, masks = session.run(["logits", "mask"], {"images": images})
    expected = wsss.SegmentationModel.load(segmenter, "cpu").predict(list(images), scores=True)
    for found, mask, result in zip(logits, masks, expected, strict=True):
        scores = torch.from_numpy(found).softmax(0).numpy()
        np.testing.assert_allclose(scores, result.scores, rtol=0, atol=1e-4)
        np.testing.assert_array_equal(mask, found.argmax(0))
    module, _ = deployed(segmenter)
    with torch.no_grad():
        np.testing.assert_allclose(logits, module(torch.from_numpy(images))[0], rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_torch_export_computes_the_same(files: Path, segmenter: Path, size: tuple[int, int, int]) -> None:
    images = torch.from_numpy(photographs(size))
    module, _ = deployed(segmenter)
    with torch.no_grad():
        expected, found = module(images), torch.export.load(files / "m.pt2").module()(images)
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=1e-4)
    assert torch.equal(found[1], expected[1])


def test_onnx_describes_itself(files: Path) -> None:
    model = onnx.load(files / "m.onnx")
    assert [opset.version for opset in model.opset_import if opset.domain == ""] == [OPSET]
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(facts["value_names"]) == ["background", "dog", "person"]
    session = onnxruntime.InferenceSession(files / "m.onnx", providers=["CPUExecutionProvider"])
    (images,), (logits, mask) = session.get_inputs(), session.get_outputs()
    assert (images.type, images.shape) == ("tensor(uint8)", ["batch", "height", "width", 3])
    assert logits.shape == ["batch", 3, "height", "width"]
    assert mask.shape == ["batch", "height", "width"]


def test_a_classifier_gives_probabilities_and_cams(classifier: Path, tmp_path: Path) -> None:
    write_onnx(tmp_path / "m.onnx", classifier)
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    images = photographs(SIZES[0])
    probabilities, cams = session.run(["probabilities", "cams"], {"images": images})
    found = wsss.ClassificationModel.load(classifier, "cpu").predict(images[0], labels=[1, 2])
    np.testing.assert_allclose(probabilities[0], list(found.probabilities.values()), atol=1e-4)
    assert cams.shape == (1, 2, *images.shape[1:3])
    assert 0 <= cams.min() <= cams.max() <= 1


def test_nothing_is_written_that_computes_something_else(
    segmenter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsss.stages.bundle.export.TOLERANCE", -1.0)
    with pytest.raises(ExportError, match="not written, it differs from PyTorch by"):
        write_onnx(tmp_path / "m.onnx", segmenter)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    trained = Restored(build_affinitynet(AffinityNet()).eval(), AffinityNet(), NAMES)
    write_bundle(tmp_path / "a", trained, BundleAffinityNet.of(STUDY), MADE, {})
    for arguments, said in (
        ([tmp_path / "a", "--onnx", tmp_path / "m.onnx"], "an AffinityNet, expected a segmentation network"),
        ([tmp_path / "gone", "--onnx", tmp_path / "m.onnx"], "gone: no such folder"),
        ([tmp_path / "a"], "nothing to write: give --onnx FILE or --torch-export FILE"),
    ):
        done = CliRunner().invoke(app, ["export", "model", *map(str, arguments)])
        assert done.exit_code == 2
        assert said in done.stderr


def test_without_onnx_it_says_what_to_install(
    segmenter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsss.stages.bundle.export.find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r"pip install onnx onnxruntime onnxscript"):
        write_onnx(tmp_path / "m.onnx", segmenter)
