"""Training the classifier, AffinityNet and the segmentation network: one loop, resumable, with a history."""

from wsss.training.affinitynet import train_affinitynet
from wsss.training.classifier import train_classifier
from wsss.training.loop import TrainingError, fit
from wsss.training.resume import ResumePoint, resume_path
from wsss.training.run import Run
from wsss.training.segmenter import train_segmenter

__all__ = [
    "ResumePoint",
    "Run",
    "TrainingError",
    "fit",
    "resume_path",
    "train_affinitynet",
    "train_classifier",
    "train_segmenter",
]
