"""CAM weights that are fitted again, to tell the classes apart rather than to tell each from its absence.

A multi-label classifier may find two classes in the same pixels. A second layer learns, with a softmax over
all classes, to name the class under whose CAM features were pooled, and its weights give new CAMs: Chen et
al., Class Re-Activation Maps (ReCAM, CVPR 2022), section 4.1. There the features learn from it as well.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsss.method.cam import combine_cams


def pooled_under_cams(features: Tensor, raw: Tensor) -> Tensor:
    """Average features, weighted by the CAM of each class.

    Args:
        features: (B, D, h, w).
        raw: scores (B, C, h, w) of the classes, before the rectification; no gradient flows into them.

    Returns:
        (B, C, D), zero for a class that is nowhere active.
    """
    cams = combine_cams([(raw.detach(), False)], (raw.shape[-2], raw.shape[-1]))
    cells = raw.shape[-2] * raw.shape[-1]
    return torch.einsum("bchw,bdhw->bcd", cams.to(features.dtype), features) / cells


def refit_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy, over a softmax, of each label with the features under its own CAM.

    Args:
        logits: (B, C, C); row k has the scores of all classes for the features under the CAM of class k.
        labels: (B, C), 1 where the image has the class, else 0.

    Returns:
        A scalar: the mean over the labels of an image, averaged over images; one without labels counts as 0.
    """
    losses = -logits.log_softmax(-1).diagonal(dim1=-2, dim2=-1)
    return ((losses * labels).sum(-1) / labels.sum(-1).clamp(min=1)).mean()
