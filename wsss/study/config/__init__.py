"""The study: one model per stage, and the one source of `config.yaml` and `schemas/config.schema.yaml`."""

from wsss.study.config.datasets import Coco, Folder, Shapes, Voc12
from wsss.study.config.networks import AffinityNet, Classifier, Segmenter
from wsss.study.config.params import section_params
from wsss.study.config.study import Confident, ConfigError, RandomWalk, Study, Sweep, load_study, read_study

__all__ = [
    "AffinityNet",
    "Classifier",
    "Coco",
    "Confident",
    "ConfigError",
    "Folder",
    "RandomWalk",
    "Segmenter",
    "Shapes",
    "Study",
    "Sweep",
    "Voc12",
    "load_study",
    "read_study",
    "section_params",
]
