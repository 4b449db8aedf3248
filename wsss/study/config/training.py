"""How a network's weights move: optimisers and learning-rate schedules, by name."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from wsss.study.config.fields import Fraction, NonNegative, NotBool, Section, Share

LearningRate = Annotated[float, Field(gt=0.0, description="initial rate of pretrained weights"), NotBool]
WeightDecay = Annotated[float, Field(ge=0.0, description="L2 penalty of the weights that decay"), NotBool]
HeadMultiplier = Annotated[
    float, Field(gt=0.0, description="learning-rate multiplier of newly initialised layers"), NotBool
]
BiasMultiplier = Annotated[float, Field(gt=0.0, description="learning-rate multiplier of biases"), NotBool]
Decayed = Annotated[
    Literal["weights", "matrices"],
    Field(
        description="what decays; weights: all but biases, as published; matrices: convolutions and linear "
        "layers only, not norms, tokens or position embeddings"
    ),
]


class Sgd(Section):
    """Stochastic gradient descent."""

    kind: Literal["sgd"] = Field("sgd", description="sgd, or adamw for transformers")
    learning_rate: LearningRate = 0.05
    momentum: Fraction = Field(0.9, description="0.9 goes ten times as far per step as 0 does")
    weight_decay: WeightDecay = 0.0005
    decayed: Decayed = "weights"
    head_lr_multiplier: HeadMultiplier = 1.0
    bias_lr_multiplier: BiasMultiplier = 2.0


class AdamW(Section):
    """Adam with decoupled weight decay, which transformers need."""

    kind: Literal["adamw"]
    learning_rate: LearningRate = 0.0001
    beta1: Fraction = Field(0.9, description="decay of the mean gradient")
    beta2: Fraction = Field(0.999, description="decay of the mean squared gradient")
    weight_decay: WeightDecay = 0.05
    decayed: Decayed = "matrices"
    head_lr_multiplier: HeadMultiplier = 10.0
    bias_lr_multiplier: BiasMultiplier = 1.0


Warmup = Annotated[
    float,
    Field(ge=0.0, lt=1.0, description="share of the steps in which the rate first rises linearly from 0"),
    NotBool,
]


class Polynomial(Section):
    """The rate at step s of n is learning_rate * (1 - s / n)^power."""

    kind: Literal["polynomial"] = Field("polynomial", description="polynomial, or cosine")
    power: NonNegative = Field(0.9, description="rate at step s of n: learning_rate * (1 - s / n)^power")
    warmup: Warmup = 0.0


class Cosine(Section):
    """The rate falls along half a cosine."""

    kind: Literal["cosine"]
    final: Fraction = Field(0.0, description="rate at the end, as a share of learning_rate")
    warmup: Warmup = 0.0


Optimizer = Annotated[Sgd | AdamW, Field(discriminator="kind")]
Schedule = Annotated[Polynomial | Cosine, Field(discriminator="kind")]


class CrossEntropy(Section):
    """Every pixel is learned as it is in the mask."""

    kind: Literal["cross_entropy"] = Field(
        "cross_entropy",
        description="cross_entropy; or symmetric, bootstrapped, for masks that are partly wrong",
    )


class SymmetricCrossEntropy(Section):
    """Cross entropy in both directions (Wang et al., ICCV 2019): pixels that are wrong pull less."""

    kind: Literal["symmetric"]
    forward: NonNegative = Field(1.0, description="weight of the cross entropy; alpha of the paper")
    reverse: NonNegative = Field(
        0.1, description="weight of the reverse cross entropy, in which log 0 is -4; beta of the paper"
    )


class BootstrappedCrossEntropy(Section):
    """The target is partly what the network itself believes (Reed et al., ICLR 2015 workshop)."""

    kind: Literal["bootstrapped"]
    target: Literal["soft", "hard"] = Field(
        "hard", description="hard: its most likely class; soft: its probabilities"
    )
    mask: Share = Field(0.8, description="share of the mask in the target; beta of the paper")


Loss = CrossEntropy | SymmetricCrossEntropy | BootstrappedCrossEntropy
