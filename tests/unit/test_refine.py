"""`wsss.refine`: masks from CAMs, with an AffinityNet and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

import wsss
from wsss.data.scenes import draw_scene
from wsss.models.affinitynet import build_affinitynet
from wsss.models.checkpoints import Restored, save_network
from wsss.runtime.compute import Compute
from wsss.stages.affinities.network import image_affinities
from wsss.stages.bundle.writing import write_bundle
from wsss.stages.inference.refinement import pixel_refinement
from wsss.stages.random_walk import propagate_image
from wsss.study.bundle import Provenance
from wsss.study.config import AffinityNet, RandomWalk, load_study
from wsss.study.params import BundleAffinityNet

CPU = Compute(torch.device("cpu"), "float32")
SECTION = AffinityNet(input_scale=1.0)
STUDY = load_study({"precision": "float32", "random_walk": {"beta": 6, "t": 8, "background": {"alpha": 2.0}}})


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A drawn scene, its mask, and CAMs that are its classes blurred."""
    image, mask = draw_scene(np.random.default_rng(3), 96)
    labels = np.array([value for value in np.unique(mask) if 0 < value < 255])
    cams = np.stack([gaussian_filter((mask == value).astype(np.float32), 5) for value in labels])
    return image, mask, cams / cams.max((1, 2), keepdims=True)


def labels_of(mask: np.ndarray) -> np.ndarray:
    return np.array([value for value in np.unique(mask) if 0 < value < 255])


def miou(found: np.ndarray, mask: np.ndarray) -> float:
    confusion = wsss.confusion_matrix(torch.from_numpy(found), torch.from_numpy(mask), 6)
    return float(wsss.mean_iou(confusion))


@pytest.fixture(scope="module")
def affinitynet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, and beside it the checkpoint of the same network."""
    torch.manual_seed(0)
    folder, network = tmp_path_factory.mktemp("affinitynet"), build_affinitynet(SECTION).eval()
    made = Provenance(
        study="s", wsss="1", code="", inputs={}, seed=0, versions={}, training_images=1,
        training_images_of_class={},
    )  # fmt: skip
    trained = Restored(network, SECTION, ("a", "b"))
    write_bundle(folder / "bundle", trained, BundleAffinityNet.of(STUDY), made, {})
    save_network(folder / "checkpoint.pt", network, SECTION, ("a", "b"))
    return folder


def test_without_a_network_borders_move_to_the_edges_of_the_image(scene) -> None:
    image, mask, cams = scene
    labels = labels_of(mask)
    scores = wsss.with_background(torch.from_numpy(cams), wsss.background_score(torch.from_numpy(cams), 3.0))
    coarse = np.array([0, *labels], np.uint8)[scores.argmax(0)]
    found = wsss.refine(image, cams, labels)
    assert found.shape == mask.shape
    assert found.dtype == np.uint8
    assert set(np.unique(found)) <= {0, *labels.tolist()}
    assert miou(found, mask) > miou(coarse, mask) + 0.02


def test_with_a_network_it_is_the_random_walk_of_its_study(scene, affinitynet: Path) -> None:
    image, mask, cams = scene
    labels = labels_of(mask)
    model = wsss.AffinityModel.load(affinitynet / "bundle", "cpu")
    stencil = image_affinities(model.network, image, input_scale=1.0, flip=False, compute=CPU)
    crf = pixel_refinement(image, STUDY.dense_crf)
    expected = propagate_image(
        stencil, torch.from_numpy(cams), labels, input_scale=1.0, walk=STUDY.random_walk, refine=crf
    )
    for given in (affinitynet / "bundle", str(affinitynet / "bundle"), model):
        np.testing.assert_array_equal(wsss.refine(image, cams, labels, given, device="cpu"), expected)
    other = wsss.refine(image, cams, labels, model, alpha=9.0, beta=1.0, t=200)
    assert (other != expected).any()


def test_a_checkpoint_is_walked_over_as_in_the_default_study(scene, affinitynet: Path) -> None:
    image, mask, cams = scene
    default = RandomWalk()
    found = wsss.refine(image, cams, labels_of(mask), affinitynet / "checkpoint.pt", device="cpu")
    assert found.shape == mask.shape
    assert set(np.unique(found)) <= {0, *labels_of(mask).tolist()}
    given = {"alpha": default.background.alpha, "beta": default.beta, "t": default.t}
    again = wsss.refine(image, cams, labels_of(mask), affinitynet / "checkpoint.pt", device="cpu", **given)
    np.testing.assert_array_equal(found, again)


def test_images_of_all_kinds_and_tensors(scene, tmp_path: Path) -> None:
    image, mask, cams = scene
    labels = labels_of(mask)
    Image.fromarray(image).save(tmp_path / "x.png")
    expected = wsss.refine(image, cams, labels)
    with Image.open(tmp_path / "x.png") as picture:
        np.testing.assert_array_equal(wsss.refine(picture, torch.from_numpy(cams), labels.tolist()), expected)
    found = wsss.refine(tmp_path / "x.png", torch.from_numpy(cams).half(), torch.from_numpy(labels))
    assert (found != expected).mean() < 0.01


def test_small_cams_are_resized(scene) -> None:
    image, mask, cams = scene
    small = cams[:, ::4, ::4]
    found = wsss.refine(image, small, labels_of(mask))
    assert found.shape == mask.shape
    assert miou(found, mask) > 0.5


def test_an_image_without_labels_is_all_background(scene) -> None:
    image, mask, _ = scene
    assert not wsss.refine(image, np.zeros((0, *mask.shape), np.float32), []).any()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": [0]}, "`wsss.class_values` turns class indices into mask values"),
        ({"labels": [255]}, "expected mask values 1 … 254, got [255]"),
        ({"labels": ["cat"]}, "labels: expected K whole numbers"),
        ({"labels": [1, 2]}, "cams: expected floats (2, h, w), one map per label"),
        ({"labels": [1, 1], "cams": np.zeros((2, 8, 8), np.float32)}, "expected each once"),
        ({"cams": np.full((1, 8, 8), 7.0)}, "expected values in [0, 1], got 7 to 7"),
        ({"cams": np.full((1, 8, 8), np.nan)}, "expected values in [0, 1], got nan"),
        ({"cams": np.zeros((1, 8, 8), np.uint8)}, "cams: expected floats"),
        ({"cams": np.zeros((8, 8), np.float32)}, "cams: expected floats"),
        ({"affinitynet": "gone"}, "gone: no such folder"),
        ({"t": -1}, "t"),
    ],
)
def test_what_does_not_fit_is_refused(scene, change: dict[str, Any], said: str) -> None:
    given = {"image": scene[0], "cams": np.zeros((1, 8, 8), np.float32), "labels": [1]} | change
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the texts are compared below
        wsss.refine(**given)
    assert said in str(error.value)
