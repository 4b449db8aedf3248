"""Five training steps of the published networks in float64, against a plain oracle.

The oracle is written from the facts of the architectures and of the published training: which layers learn,
at which rate, with which decay and momentum, what is dropped where, and what is minimised. It shares with the
networks their first weights, the order of the samples and the seed of each step's dropout, and nothing else.
All layers have an eighth of their channels, so that a training takes a second; no layer knows the difference.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsss.models.affinitynet import build_affinitynet
from wsss.models.classifier import build_classifier
from wsss.models.network import Network
from wsss.models.parameters import freeze
from wsss.runtime.compute import Compute
from wsss.stages.affinitynet import AffinityLoss
from wsss.stages.classifier import ClassifierLoss
from wsss.stages.training.loop import fit
from wsss.stages.training.optimizers import build_optimizer
from wsss.stages.training.resume import ResumePoint
from wsss.stages.training.sampling import Plan
from wsss.study.config import AffinityNet, Classifier, Study, read_study

ROOT = Path(__file__).resolve().parents[2]
SAMPLES, STEPS, CLASSES, THINNER = 4, 5, 20, 8
PLAN = Plan(samples=SAMPLES, batch_size=2, epochs=2.5, seed=3)

Weights = Mapping[str, Tensor]
Batch = tuple[Tensor, Tensor]


@dataclass
class Course:
    """What a training does: losses of each step, gradients of the first, changes of the weights in all."""

    losses: list[dict[str, float]] = field(default_factory=list)
    gradients: dict[str, Tensor] = field(default_factory=dict)
    changes: dict[str, Tensor] = field(default_factory=dict)


# Weights and samples of both


def thin(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of a tensor with fewer channels; colours and classes are no multiples and stay."""
    return tuple(side if side % THINNER else side // THINNER for side in shape[:2]) + tuple(shape[2:])


def draw(key: str, shape: tuple[int, ...]) -> Tensor:
    """Weights that keep activations near 1, and those that are averaged near 0.1: no step is too far."""
    generator = torch.Generator().manual_seed(zlib.crc32(key.encode()))
    values = torch.randn(shape, generator=generator, dtype=torch.float64)
    if len(shape) == 4:
        residual = key.endswith(("branch2b1.weight", "branch2b2.weight"))
        gain = 0.3 if residual else 0.1 if key == "fc7.weight" else 1.0
        return values.mul_(gain * (2 / values[0].numel()) ** 0.5)
    if key.endswith("running_var"):
        return values.abs_().add_(0.5)
    values = values.mul_(0.1).add_(1) if key.endswith("weight") else values.mul_(0.1)
    return values.mul_(0.1) if key.startswith(("bn7.", "fc7.")) else values


def samples(kind: str) -> list[Batch]:
    """Normalised images, with labels of images or of cells: 4 x 5 cells, or 5 x 11 with some pairs."""
    generator = torch.Generator().manual_seed(7)
    size = (32, 40) if kind == "classifier" else (40, 88)
    images = torch.randn(SAMPLES, 3, *size, generator=generator, dtype=torch.float64)
    if kind == "classifier":
        labels = (torch.rand(SAMPLES, CLASSES, generator=generator) < 0.2).double()
    else:
        drawn = torch.randint(4, (SAMPLES, 5, 11), generator=generator)
        labels = torch.tensor([0, 3, 8, 255], dtype=torch.uint8)[drawn]
    return list(zip(images, labels, strict=True))


# The networks, trained as the study of the paper says


def section_of(name: str, kind: str) -> Classifier | AffinityNet:
    study: Study = read_study(ROOT / "studies" / f"voc12-{name}.yaml")
    return study.classifier if kind == "classifier" else study.affinitynet


def without_weights(section: Classifier | AffinityNet) -> Network:
    with torch.device("meta"):
        if isinstance(section, Classifier):
            return build_classifier(section, CLASSES)
        return build_affinitynet(section)


def built(section: Classifier | AffinityNet) -> tuple[Network, nn.Module]:
    """The network with drawn weights, frozen as its section says, and what is minimised."""
    network = without_weights(section)
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        drawn = draw(name.removeprefix("backbone."), thin(value.shape))
        layer, _, entry = name.rpartition(".")
        is_parameter = isinstance(value, nn.Parameter)
        setattr(network.get_submodule(layer), entry, nn.Parameter(drawn) if is_parameter else drawn)
    if isinstance(section, Classifier):
        freeze(network, section.frozen_stages, section.batch_norm)
        return network, ClassifierLoss(network)
    assert section.train_on.kind == "images"
    freeze(network, section.train_on.frozen_stages, section.train_on.batch_norm)
    return network, AffinityLoss(network)


def trained(name: str, kind: str, history: Path) -> Course:
    section, course, known = section_of(name, kind), Course(), samples(kind)
    network, losses = built(section)
    optimizer = build_optimizer(network, section.optimizer)
    parameters = {
        key.removeprefix("backbone."): parameter
        for key, parameter in network.named_parameters()
        if parameter.requires_grad
    }

    def record_losses(_module: nn.Module, _inputs: object, found: Mapping[str, Tensor]) -> None:
        course.losses.append({key: value.item() for key, value in found.items()})

    def record_gradients(*_arguments: object) -> None:
        if not course.gradients:
            course.gradients = {
                key: parameter.grad.clone()
                for key, parameter in parameters.items()
                if parameter.grad is not None
            }

    losses.register_forward_hook(record_losses)
    optimizer.register_step_pre_hook(record_gradients)
    fit(
        losses,
        lambda index, _generator: known[index],
        plan=PLAN,
        optimizer=optimizer,
        schedule=section.schedule,
        compute=Compute(torch.device("cpu"), "float32"),
        history=history,
        resume=ResumePoint(None),
        label=kind,
    )
    for key, parameter in parameters.items():
        course.changes[key] = parameter.detach() - draw(key, tuple(parameter.shape))
    return course


# The oracle: networks


def dropped(x: Tensor, rate: float) -> Tensor:
    """Drop whole channels of each image."""
    kept = torch.empty(*x.shape[:2], 1, 1, dtype=x.dtype).bernoulli_(1 - rate)
    return x * kept / (1 - rate)


def convolved(w: Weights, name: str, x: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    kernel = w[f"{name}.weight"]
    reach = dilation * (kernel.shape[-1] // 2)
    return F.conv2d(x, kernel, w.get(f"{name}.bias"), stride, reach, dilation)


def activated(w: Weights, name: str, x: Tensor) -> Tensor:
    """Batch norm by its stored statistics, and ReLU."""
    mean, variance, scale, shift = (
        w[f"{name}.{entry}"].view(-1, 1, 1) for entry in ("running_mean", "running_var", "weight", "bias")
    )
    return ((x - mean) / (variance + 1e-5).sqrt() * scale + shift).clamp(min=0)


def block(w: Weights, name: str, x: Tensor, stride: int = 1, dilations: tuple[int, int] = (1, 1)) -> Tensor:
    first = activated(w, f"{name}.bn_branch2a", x)
    second = convolved(w, f"{name}.conv_branch2a", first, stride, dilations[0])
    residual = convolved(
        w, f"{name}.conv_branch2b1", activated(w, f"{name}.bn_branch2b1", second), 1, dilations[1]
    )
    changes = f"{name}.conv_branch1.weight" in w
    return residual + (convolved(w, f"{name}.conv_branch1", first, stride) if changes else x)


def bottleneck(w: Weights, name: str, x: Tensor, rate: float) -> Tensor:
    first = activated(w, f"{name}.bn_branch2a", x)
    narrow = activated(w, f"{name}.bn_branch2b1", convolved(w, f"{name}.conv_branch2a", first))
    wide = convolved(w, f"{name}.conv_branch2b1", dropped(narrow, rate), 1, 4)
    wide = activated(w, f"{name}.bn_branch2b2", wide)
    return convolved(w, f"{name}.conv_branch2b2", dropped(wide, rate)) + convolved(
        w, f"{name}.conv_branch1", first
    )


def resnet38(w: Weights, x: Tensor, _task: str) -> tuple[Tensor, Tensor, Tensor]:
    """The activated inputs of b5 and b6, and the activated output of b7."""
    x = convolved(w, "conv1a", x)
    for stage, count in (("b2", 3), ("b3", 3), ("b4", 6)):
        for number in range(count):
            x = block(w, f"{stage}_{number}" if number else stage, x, stride=1 if number else 2)
    early = activated(w, "b5.bn_branch2a", x)
    x = block(w, "b5", x, dilations=(1, 2))
    for name in ("b5_1", "b5_2"):
        x = block(w, name, x, dilations=(2, 2))
    middle = activated(w, "b6.bn_branch2a", x)
    x = bottleneck(w, "b7", bottleneck(w, "b6", x, 0.3), 0.5)
    return early, middle, activated(w, "bn7", x)


def vgg16(w: Weights, x: Tensor, task: str) -> tuple[Tensor, Tensor, Tensor]:
    """conv4_3, conv5_3 and fc7; fc6 reaches four cells in AffinityNet and one in the classifier."""
    maps = []
    for stage, (count, pool) in enumerate(((2, 2), (2, 2), (3, 2), (3, 1), (3, 0)), start=1):
        for number in range(1, count + 1):
            x = convolved(w, f"conv{stage}_{number}", x, dilation=2 if stage == 5 else 1).clamp(min=0)
        maps.append(x)
        x = F.max_pool2d(x, 3, pool, 1) if pool else x
    x = convolved(w, "fc6", x, dilation=4 if task == "affinitynet" else 1).clamp(min=0)
    return maps[3], maps[4], convolved(w, "fc7", dropped(x, 0.5)).clamp(min=0)


NETWORKS: dict[str, Callable[[Weights, Tensor, str], tuple[Tensor, Tensor, Tensor]]] = {
    "resnet38": resnet38,
    "vgg16": vgg16,
}


# The oracle: losses


def classifier_losses(name: str, w: Weights, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Cross entropy of each class, averaged over images and classes."""
    features = dropped(NETWORKS[name](w, images, "classifier")[2], 0.5)
    logits = torch.einsum("bdhw,cd->bchw", features, w["fc8.weight"][..., 0, 0]).mean((2, 3))
    present = 1 / (1 + (-logits).exp())
    return {"loss": -(labels * present.log() + (1 - labels) * (1 - present).log()).mean()}


def group_normed(w: Weights, name: str, x: Tensor, groups: int) -> Tensor:
    split = x.unflatten(1, (groups, -1))
    mean = split.mean((2, 3, 4), keepdim=True)
    deviation = (split - mean).square().mean((2, 3, 4), keepdim=True).add(1e-5).sqrt()
    scaled = ((split - mean) / deviation).flatten(1, 2)
    return scaled * w[f"{name}.weight"].view(-1, 1, 1) + w[f"{name}.bias"].view(-1, 1, 1)


def elu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, x.clamp(max=0).exp() - 1)


def affinity_losses(name: str, w: Weights, images: Tensor, cells: Tensor) -> dict[str, Tensor]:
    """The mean over all pairs of the batch of each kind; 1/4, 1/4 and 1/2 of them are the loss."""
    reduced = []
    maps = NETWORKS[name](w, images, "affinitynet")
    for level, groups, x in zip((3, 4, 5), (8, 16, 32), maps, strict=True):
        x = convolved(w, f"f8_{level}", x)
        reduced.append(elu(group_normed(w, f"gn8_{level}", x, groups) if name == "vgg16" else x))
    features = elu(convolved(w, "f9", torch.cat(reduced, 1)))
    costs: dict[str, list[Tensor]] = {"background": [], "foreground": [], "different": []}
    for image, labels in zip(features, cells.long(), strict=True):
        for affinity, upper, lower in pairs(image, labels):
            if upper == 255 or lower == 255:
                continue
            if upper != lower:
                costs["different"].append(-(1 + 1e-5 - affinity).log())
            else:
                costs["foreground" if upper else "background"].append(-(affinity + 1e-5).log())
    assert all(len(values) > 5 for values in costs.values())
    terms = {kind: torch.stack(values).sum() / (len(values) + 1e-5) for kind, values in costs.items()}
    return {"loss": terms["background"] / 4 + terms["foreground"] / 4 + terms["different"] / 2, **terms}


def pairs(features: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, int, int]]:
    """Affinity and labels of pairs less than 5 cells apart, their upper cell 4 cells from three borders."""
    height, width = labels.shape
    for y in range(height - 4):
        for x in range(4, width - 4):
            for dy in range(5):
                for dx in range(-4, 5):
                    if (dy > 0 or dx > 0) and dy**2 + dx**2 < 25:
                        distance = (features[:, y, x] - features[:, y + dy, x + dx]).abs().mean()
                        yield (-distance).exp(), int(labels[y, x]), int(labels[y + dy, x + dx])


# The oracle: training

FROZEN = {"resnet38": ("conv1a.", "b2.", "b2_1.", "b2_2."), "vgg16": ("conv1_", "conv2_")}
NEW = ("fc8.", "f8_3.", "f8_4.", "f8_5.", "f9.")
RATES = {
    ("resnet38", "classifier"): 0.1,
    ("resnet38", "affinitynet"): 0.01,
    ("vgg16", "classifier"): 0.1,
    ("vgg16", "affinitynet"): 0.1,
}
MOMENTUM, DECAY, POWER = 0.0005, 0.0005, 0.9


def learns(name: str, key: str) -> bool:
    """All but the first stages, and every batch norm."""
    return not key.startswith(FROZEN[name]) and ".bn_" not in key and not key.startswith("bn7.")


def foretold(name: str, kind: str, shapes: Mapping[str, tuple[int, ...]]) -> Course:
    course, known = Course(), samples(kind)
    losses = classifier_losses if kind == "classifier" else affinity_losses
    weights = {key: draw(key, shape).requires_grad_(learns(name, key)) for key, shape in shapes.items()}
    moving = {key: value for key, value in weights.items() if value.requires_grad}
    speeds = {key: torch.zeros_like(value) for key, value in moving.items()}
    for step in range(STEPS):
        images, labels = (
            torch.stack(part)
            for part in zip(*(known[drawn.image] for drawn in PLAN.batch(step)), strict=True)
        )
        torch.manual_seed(PLAN.noise_seed(step))
        terms = losses(name, weights, images, labels)
        course.losses.append({key: value.item() for key, value in terms.items()})
        gradients = dict(zip(moving, torch.autograd.grad(terms["loss"], list(moving.values())), strict=True))
        course.gradients = course.gradients or gradients
        for key, weight in moving.items():
            bias = key.endswith(".bias")
            rate = RATES[name, kind] * (10 if key.startswith(NEW) else 1) * (2 if bias else 1)
            pull = gradients[key] if bias else gradients[key] + DECAY * weight.detach()
            speeds[key].mul_(MOMENTUM).add_(pull)
            weight.data.sub_(rate * (1 - step / STEPS) ** POWER * speeds[key])
    for key, weight in moving.items():
        course.changes[key] = weight.detach() - draw(key, shapes[key])
    return course


# Their comparison


@pytest.fixture(scope="module", params=RATES, ids="-".join)
def courses(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Course, Course]:
    name, kind = request.param
    state = without_weights(section_of(name, kind)).state_dict()
    found = trained(name, kind, tmp_path_factory.mktemp("history") / "history.tsv")
    return found, foretold(name, kind, {key: thin(value.shape) for key, value in state.items()})


def require_close(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        size = value.norm()
        assert size > 0, key
        assert (found[key] - value).norm() <= tolerance * size, key


def test_losses_of_each_step_are_those_of_the_oracle(courses: tuple[Course, Course]) -> None:
    found, expected = courses
    assert len(expected.losses) == STEPS
    assert len({round(terms["loss"], 6) for terms in expected.losses}) == STEPS
    for ours, theirs in zip(found.losses, expected.losses, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9)


def test_gradients_of_the_first_step_are_those_of_the_oracle(courses: tuple[Course, Course]) -> None:
    found, expected = courses
    require_close(found.gradients, expected.gradients, 1e-9)


def test_five_steps_move_the_weights_as_those_of_the_oracle(courses: tuple[Course, Course]) -> None:
    found, expected = courses
    require_close(found.changes, expected.changes, 1e-8)
