"""Optimizers, by their sections of the configuration."""

from __future__ import annotations

import torch

from wsss.models.network import Network
from wsss.models.parameters import parameter_groups
from wsss.study.config import Optimizer


def build_optimizer(network: Network, section: Optimizer) -> torch.optim.Optimizer:
    """Build the optimizer of a network's trained parameters, with the learning rates before any schedule."""
    groups = parameter_groups(network, section)
    if section.kind == "adamw":
        return torch.optim.AdamW(groups, betas=(section.beta1, section.beta2))
    return torch.optim.SGD(groups, momentum=section.momentum)
