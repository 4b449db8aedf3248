"""Scores of a study's artifacts against what is true, as the files of `metrics/` hold them."""

from wsss.stages.scores.affinities import score_affinities
from wsss.stages.scores.classifier import score_classifier
from wsss.stages.scores.masks import Truth, score_cams, score_confident, score_masks, score_refined_cams

__all__ = [
    "Truth",
    "score_affinities",
    "score_cams",
    "score_classifier",
    "score_confident",
    "score_masks",
    "score_refined_cams",
]
