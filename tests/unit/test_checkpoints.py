"""Checkpoints: what comes back is all that a network needs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wsss.models.affinitynet import build_affinitynet, restore_affinitynet
from wsss.models.checkpoints import save_network
from wsss.models.classifier import build_classifier, restore_classifier
from wsss.models.segmenter import build_segmenter, restore_segmenter
from wsss.results import ArtifactError
from wsss.results.checkpoints import load_checkpoint, save_checkpoint
from wsss.study import config

NAMES = ("cat", "dog")
IMAGE = torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))


def test_a_classifier_comes_back_with_its_section_and_classes(tmp_path: Path) -> None:
    section = config.Classifier(dropout=0.5, output_stride=16, scale=(0.5, 2.0))
    network = build_classifier(section, 2).eval()
    save_network(tmp_path / "c.pt", network, section, NAMES)
    restored = restore_classifier(tmp_path / "c.pt")
    assert (restored.section, restored.class_names) == (section, NAMES)
    assert not restored.network.training
    with torch.no_grad():
        assert torch.equal(restored.network.cam(IMAGE), network.cam(IMAGE))


def test_an_affinitynet_tells_its_input_scale_radius_and_border(tmp_path: Path) -> None:
    section = config.AffinityNet(input_scale=1.5, radius=3, border="cropped", normalization="none")
    network = build_affinitynet(section).eval()
    save_network(tmp_path / "a.pt", network, section, NAMES)
    restored = restore_affinitynet(str(tmp_path / "a.pt"))
    assert (restored.section.input_scale, restored.section.radius, restored.section.border) == (
        1.5,
        3,
        "cropped",
    )
    assert (restored.network.radius, restored.network.border) == (3, "cropped")
    with torch.no_grad():
        assert torch.equal(restored.network(IMAGE), network(IMAGE))


@pytest.mark.parametrize("head", ["deeplabv3", "smp/fpn"])
def test_a_segmenter_comes_back_with_one_output_more_than_classes(tmp_path: Path, head: str) -> None:
    section = config.Segmenter(head=head)
    network = build_segmenter(section, 3).eval()
    save_network(tmp_path / "s.pt", network, section, NAMES)
    restored = restore_segmenter(tmp_path / "s.pt")
    with torch.no_grad():
        assert torch.equal(restored.network(IMAGE), network(IMAGE))
    assert restored.network(IMAGE).shape[1] == 1 + len(restored.class_names)


def test_a_checkpoint_holds_plain_values_beside_its_tensors(tmp_path: Path) -> None:
    section = config.Classifier()
    save_network(tmp_path / "c.pt", build_classifier(section, 2), section, NAMES)
    content = load_checkpoint(tmp_path / "c.pt")
    assert (content["network"], content["class_names"]) == ("Classifier", list(NAMES))
    assert content["section"] == section.model_dump(mode="json")


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    section = config.Classifier()
    save_network(tmp_path / "c.pt", build_classifier(section, 2), section, NAMES)
    with pytest.raises(ArtifactError, match=r"c\.pt: holds Classifier, expected AffinityNet"):
        restore_affinitynet(tmp_path / "c.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"section": {"backbone": "alexnet"}}, "its section is not valid: backbone: got 'alexnet'"),
        ({"section": {"backbones": "small"}}, "its section is not valid: backbones: got 'small'"),
        ({"class_names": ["cat"]}, "size mismatch for fc8.weight"),
    ],
)
def test_content_that_does_not_fit_is_refused_with_its_file(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    section = config.Classifier()
    save_network(tmp_path / "c.pt", build_classifier(section, 2), section, NAMES)
    save_checkpoint(tmp_path / "d.pt", load_checkpoint(tmp_path / "c.pt") | change)
    with pytest.raises(ArtifactError, match=r"d\.pt: ") as caught:
        restore_classifier(tmp_path / "d.pt")
    assert message in str(caught.value)


def test_a_checkpoint_without_its_section_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "old.pt", {"network": "Classifier", "state_dict": {}, "config": {}})
    with pytest.raises(ArtifactError, match="lacks section, class_names"):
        restore_classifier(tmp_path / "old.pt")
