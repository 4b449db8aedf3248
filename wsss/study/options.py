"""Words that keys of the configuration may have and that other code compares with: each list once."""

from typing import Literal

Precision = Literal["auto", "float32", "bfloat16"]
BatchNormMode = Literal["frozen", "trained"]
FeatureNormalization = Literal["none", "group"]
NormalizationRate = Literal["head", "backbone"]
Padding = Literal["mean", "black"]
CellPadding = Literal["none", "zeros"]
CamWeights = Literal["classifier", "refit"]
Pooling = Literal["vote", "scores"]
ScoreNormalization = Literal["none", "class", "image"]
NormalizedOn = Literal["cells", "pixels"]
Refinement = Literal["none", "dense_crf"]
VocClass = Literal[
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
]
"""The classes of PASCAL VOC, in their order."""

Difficult = Literal["kept", "dropped"]
