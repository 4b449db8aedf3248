"""What can be chosen by name: stated facts are true, and a new choice is one file, as documented."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from wsss.models import normalization
from wsss.models.backbones import build_backbone
from wsss.study.code_digest import ROOT, code_digest
from wsss.study.config import load_study
from wsss.study.registry import backbone_facts, backbone_names, weights_reader


@pytest.mark.parametrize("name", backbone_names())
def test_facts_are_those_of_the_built_network(name: str) -> None:
    facts = backbone_facts(name)
    with torch.device("meta"):
        for output_stride in facts.output_strides:
            assert output_stride is not None
            backbone = build_backbone(name, output_stride).eval()
            x = torch.empty(1, 3, 96, 64)
            found = [(features.shape[1], 64 // features.shape[3]) for features in backbone.pyramid(x)]
            assert facts.channels is not None
            assert facts.strides is not None
            strides = [min(stride, output_stride) for stride in facts.strides]
            assert found == list(zip(facts.channels, strides, strict=True))
    assert backbone.no_weight_decay() == set(facts.no_decay or ())
    assert facts.size_multiple == 1
    assert (facts.normalization == "imagenet") == (backbone.normalization == normalization.IMAGENET)


def test_what_only_the_built_network_knows_is_not_stated_of_timms() -> None:
    facts = backbone_facts("timm/vit_small_patch16_224.dino")
    assert (facts.channels, facts.strides, facts.size_multiple, facts.no_decay) == (None, None, None, None)
    assert facts.imagenet


@pytest.mark.parametrize(
    ("weights", "reader"),
    [
        ("none", None),
        ("imagenet", None),
        ("classifier", "pytorch"),
        ("a/b.pth", "pytorch"),
        ("a/b.model", "pytorch"),
        ("a/b.safetensors", "safetensors"),
        ("ilsvrc-cls_rna-a1_cls1000_ep-0001.params", "mxnet"),
        ("vgg16_20M.caffemodel", "caffe"),
    ],
)
def test_the_suffix_selects_the_reader(weights: str, reader: str | None) -> None:
    assert weights_reader(weights) == (f"wsss.models.weights.{reader}" if reader else None)


def test_the_code_of_a_classifier_is_that_of_no_other_network(tmp_path: Path) -> None:
    """All that a training needs is imported by name: heads, backbones, readers of files, other networks."""
    script = tmp_path / "train.py"
    script.write_text(
        "from wsss.models.checkpoints import save_network\n"
        "from wsss.models.classifier import build_classifier, restore_classifier\n"
        "from wsss.models.parameters import freeze, parameter_groups\n"
        "from wsss.models.initial_weights import load_finished, resolve_weights\n"
    )
    models = {
        name for name in code_digest(script, root=ROOT) if name.startswith(("wsss.models", "wsss.method"))
    }
    assert models == {
        "wsss.models.backbone",
        "wsss.models.backbones",
        "wsss.models.checkpoints",
        "wsss.models.classifier",
        "wsss.models.folded",
        "wsss.models.grouped",
        "wsss.models.network",
        "wsss.models.normalization",
        "wsss.models.prefixes",
        "wsss.models.parameters",
        "wsss.models.state",
        "wsss.models.initial_weights",
        "wsss.models.weights.reading",
    }


PROGRAM = """
import torch
from wsss.models.affinitynet import build_affinitynet
from wsss.models.classifier import build_classifier
from wsss.models.segmenter import build_segmenter
from wsss.study import config
import wsss

x = torch.zeros(1, 3, 64, 96)
own = {"backbone": "pebble", "output_stride": 32}
cam = build_classifier(config.Classifier(**own), 2).cam(x)
affinities = build_affinitynet(config.AffinityNet(**own))(x)
for head in ("pointwise", "deeplabv3", "smp/unet"):
    logits = build_segmenter(config.Segmenter(head=head, **own), 3).eval()(x)
    assert logits.shape == (1, 3, 64, 96), head
print(wsss.__file__, tuple(cam.shape), tuple(affinities.shape))
"""


def examples(language: str) -> list[str]:
    """The blocks of code in docs/backbones.md."""
    text = (ROOT / "docs" / "backbones.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_documented_configuration_is_valid() -> None:
    (example,) = examples("yaml")
    study = load_study(yaml.safe_load(example))
    assert study.classifier.optimizer.decayed == "matrices"
    assert study.segmenter.head == "smp/upernet"


def test_the_documented_backbone_and_head_are_one_file_each(tmp_path: Path) -> None:
    backbone, head = examples("python")
    package = shutil.copytree(ROOT / "wsss", tmp_path / "wsss", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "models" / "backbones" / "pebble.py").write_text(backbone)
    (package / "models" / "heads" / "pointwise.py").write_text(head)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == f"{package / '__init__.py'} (1, 2, 2, 3) (1, 34, 8, 12)".split()
