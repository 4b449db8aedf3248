"""Quality of a study's artifacts against what is true, as the files of `scores/` hold it."""

from wsss.stages.scores.affinities import score_affinities
from wsss.stages.scores.cams import score_cams, score_refined_cams, score_study_cams
from wsss.stages.scores.classifier import score_classifier
from wsss.stages.scores.masks import score_confident, score_masks, score_splits
from wsss.stages.scores.quality import score_quality
from wsss.stages.scores.truth import Metrics, Scored, Truth

__all__ = [
    "Metrics",
    "Scored",
    "Truth",
    "score_affinities",
    "score_cams",
    "score_classifier",
    "score_confident",
    "score_masks",
    "score_quality",
    "score_refined_cams",
    "score_splits",
    "score_study_cams",
]
