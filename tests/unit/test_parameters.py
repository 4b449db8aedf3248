"""The groups in which parameters learn, and what of them decays."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from wsss.models.affinitynet import build_affinitynet
from wsss.models.classifier import build_classifier
from wsss.models.parameters import freeze, parameter_groups
from wsss.models.segmenter import Segmenter, build_segmenter
from wsss.study import config
from wsss.study.config import AdamW, Sgd


def segmenter() -> Segmenter:
    model = build_segmenter(config.Segmenter(), 3)
    freeze(model, 1, "trained")
    return model


def names_of(model: nn.Module, groups: list[dict[str, object]]) -> list[set[str]]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return [{names[id(parameter)] for parameter in group["params"]} for group in groups]


@pytest.mark.parametrize("decayed", ["weights", "matrices"])
def test_groups_hold_each_trained_parameter_once(decayed: str) -> None:
    model = segmenter()
    groups = names_of(model, parameter_groups(model, Sgd.model_validate({"kind": "sgd", "decayed": decayed})))
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert set.union(*groups) == trained
    assert sum(map(len, groups)) == len(trained) < len(list(model.parameters()))


def test_published_groups_learn_at_the_methods_rates_in_the_published_order() -> None:
    model = segmenter()
    section = Sgd(learning_rate=0.1, weight_decay=5e-4, head_lr_multiplier=10)
    groups = parameter_groups(model, section)
    assert [group["lr"] for group in groups] == [0.1, 0.2, 1.0, 2.0]
    assert [group["weight_decay"] for group in groups] == [5e-4, 0, 5e-4, 0]
    weights, biases, head_weights, head_biases = names_of(model, groups)
    assert all(name.startswith("backbone.") for name in weights | biases)
    assert all(name.startswith("head.") for name in head_weights | head_biases)
    assert all(name.endswith("bias") for name in biases | head_biases)
    assert not any(name.endswith("bias") for name in weights | head_weights)
    assert "backbone.last.first.1.weight" in weights  # the scale of a batch norm decays


NORMS = {f"gn8_{level}.{name}" for level in (3, 4, 5) for name in ("weight", "bias")}


@pytest.mark.parametrize("decayed", ["weights", "matrices"])
def test_norms_of_affinitynet_learn_as_the_backbone_where_the_section_says_so(decayed: str) -> None:
    """In the published code of VGG16 the GroupNorms are not among the new layers."""
    section = Sgd.model_validate(
        {"kind": "sgd", "learning_rate": 0.1, "decayed": decayed, "head_lr_multiplier": 10}
    )
    rates = {}
    for rate in ("head", "backbone"):
        model = build_affinitynet(config.AffinityNet(normalization="group", normalization_rate=rate))
        groups = parameter_groups(model, section)
        rates[rate] = {
            name: (group["lr"], group["weight_decay"])
            for group, names in zip(groups, names_of(model, groups), strict=True)
            for name in names
        }
    decay = 5e-4 if decayed == "weights" else 0
    for name in NORMS:
        scale = name.endswith("weight")
        assert rates["backbone"][name] == ((0.1, decay) if scale else (0.2, 0))
        assert rates["head"][name] == ((1.0, decay) if scale else (2.0, 0))
    others = rates["head"].keys() - NORMS
    assert {name: rates["head"][name] for name in others} == {
        name: rates["backbone"][name] for name in others
    }
    assert rates["backbone"]["f8_3.weight"] == rates["backbone"]["f9.weight"] == (1.0, 5e-4)


def test_of_matrices_scales_of_norms_do_not_decay() -> None:
    model = segmenter()
    section = Sgd(learning_rate=0.1, weight_decay=5e-4, decayed="matrices", bias_lr_multiplier=1)
    groups = parameter_groups(model, section)
    assert [group["weight_decay"] for group in groups] == [5e-4, 0, 0, 5e-4, 0, 0]
    assert {group["lr"] for group in groups} == {0.1}
    decayed, kept, _, head_decayed, head_kept, _ = names_of(model, groups)
    shapes = {name: parameter.ndim for name, parameter in model.named_parameters()}
    assert {shapes[name] for name in decayed | head_decayed} == {4}
    assert {shapes[name] for name in kept | head_kept} == {1}
    assert "backbone.last.first.1.weight" in kept


def test_groups_of_either_optimiser_are_those_of_the_same_section() -> None:
    model = build_classifier(config.Classifier(), 2)
    for section in (Sgd(learning_rate=0.01), AdamW(kind="adamw", learning_rate=0.01, decayed="weights")):
        groups = parameter_groups(model, section)
        assert len(groups) == 4
        torch.optim.SGD(groups, lr=1.0)


def test_what_the_backbone_excepts_does_not_decay(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_classifier(config.Classifier(), 2)
    monkeypatch.setattr(model.backbone, "no_weight_decay", lambda: frozenset({"stem", "last.first.0.weight"}))
    decayed, kept, *_ = names_of(model, parameter_groups(model, Sgd(decayed="matrices")))
    assert {"backbone.stem.0.weight", "backbone.stem.3.weight", "backbone.last.first.0.weight"} <= kept
    assert "backbone.last.second.0.weight" in decayed
