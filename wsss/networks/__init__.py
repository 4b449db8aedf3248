"""The networks: backbones, and classifier, AffinityNet and segmentation network on any of them."""

from __future__ import annotations

from wsss.networks.affinitynet import AffinityNet, build_affinitynet
from wsss.networks.backbones import BACKBONES, build_backbone
from wsss.networks.base import Backbone, Levels, Normalization
from wsss.networks.classifier import Classifier, build_classifier
from wsss.networks.network import Network
from wsss.networks.optimization import freeze, parameter_groups
from wsss.networks.segmenter import Segmenter, build_segmenter
from wsss.networks.state import backbone_state, state_problems

__all__ = [
    "BACKBONES",
    "AffinityNet",
    "Backbone",
    "Classifier",
    "Levels",
    "Network",
    "Normalization",
    "Segmenter",
    "backbone_state",
    "build_affinitynet",
    "build_backbone",
    "build_classifier",
    "build_segmenter",
    "freeze",
    "parameter_groups",
    "state_problems",
]
