"""Seeds from the same labels: what changes of a trained classifier do to its CAMs.

    python -m benchmarks.seeds fit results/voc-animals
    python -m benchmarks.seeds refit results/voc-animals --weights 1 0.1
    python -m benchmarks.seeds stride results/voc-animals --stride 8
    python -m benchmarks.seeds tune results/voc-animals --equivariance 3

Prints the mIoU of the CAMs at their best constant background, on scored images of train that are drawn by
chance, always the same; two scales and no mirror images, so that a figure takes minutes on one core. Learned
is from other images of train, drawn likewise:

fit: new weights of the last layer, by cross entropy over a softmax on features averaged under the CAM of each
label, as far as it converges, with several weight decays, and from the weights that are there.
refit: the same by as many steps as voc-animals takes, at the rates of the study's last layer, with several
weights of the loss.
stride: the CAMs alone at another output stride, with the weights of the training.
tune: some steps more of the classifier with `equivariance` or `refit` as the section has them.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from wsss.data import ImageRow, Manifest, read_image, read_mask
from wsss.data.transforms import TrainTransform
from wsss.method.cam import combine_cams
from wsss.method.labels import class_values
from wsss.method.metrics import background_sweep, mean_iou
from wsss.method.refit import pooled_under_cams
from wsss.models.bundles import restore_bundle
from wsss.models.classifier import Classifier, build_classifier
from wsss.models.parameters import freeze
from wsss.stages.classifier import ClassifierLoss, multi_hot
from wsss.stages.inference.passes import at_scales
from wsss.stages.training.optimizers import build_optimizer
from wsss.study.bundle import ClassifierBundle
from wsss.study.config import Equivariance

CONSTANTS = tuple(step / 100 for step in range(10, 80, 2))
DECAYS = (0.001, 0.01)
LABELS_PER_STEP = 20
"""As many as 16 photographs have."""

PRINTED = 20
"""Images from one line of figures to the next."""

Weights = Mapping[str, Tensor]
"""Weights (C, D) of a last layer, by what they are called."""


@dataclass(frozen=True)
class Study:
    """A finished study: its classifier, and images of train, some to learn from and some to score."""

    network: Classifier
    bundle: ClassifierBundle
    learned: Sequence[ImageRow]
    scored: Sequence[ImageRow]

    @classmethod
    def read(cls, results: Path, learned: int, scored: int) -> Study:
        """Read the bundle of the classifier and draw images."""
        network, bundle = restore_bundle(results / "bundle" / "classifier")
        assert isinstance(network, Classifier)
        assert isinstance(bundle, ClassifierBundle)
        rows = Manifest.read(results / "dataset" / "manifest.tsv").split("train").rows
        others = drawn((row for row in rows if not row.scored), 1)[:learned]
        return cls(network, bundle, others, drawn((row for row in rows if row.scored), 0)[:scored])

    @property
    def weights(self) -> Tensor:
        """Of the last layer, (C, D)."""
        return self.network.fc8.weight.detach().flatten(1)


def drawn(rows: Iterable[ImageRow], seed: int) -> list[ImageRow]:
    """All rows in an order that is drawn by chance."""
    found = sorted(rows, key=lambda row: row.id)
    random.Random(seed).shuffle(found)
    return found


def score(network: Classifier, tried: Weights, rows: Sequence[ImageRow], scales: Sequence[float]) -> None:
    """Print the mIoU of the CAMs of each set of weights, over the same features."""
    network.eval()
    confusions: dict[str, Tensor] = {}
    for number, row in enumerate(rows, 1):
        assert row.mask is not None
        truth = torch.from_numpy(read_mask(row.mask))
        for name, cams in cams_of(network, tried, row, scales):
            n_values = 1 + len(next(iter(tried.values())))
            found = background_sweep(cams, class_values(row.labels), truth, n_values, torch.tensor(CONSTANTS))
            confusions[name] = confusions.get(name, 0) + found
        if number % PRINTED == 0 or number == len(rows):
            print(
                f"{number} images: {', '.join(f'{n} {best(c)}' for n, c in confusions.items())}", flush=True
            )


@torch.inference_mode()
def cams_of(
    network: Classifier, tried: Weights, row: ImageRow, scales: Sequence[float]
) -> Iterator[tuple[str, Tensor]]:
    """The CAMs (K, H, W) of an image's labels by each set of weights."""
    images = at_scales(read_image(row.image), network.backbone.normalization, scales)
    features = [network.features(image[None])[0] for image in images]
    for name, weights in tried.items():
        raw = ((torch.einsum("kd,dhw->khw", weights[list(row.labels)], seen), False) for seen in features)
        yield name, combine_cams(raw, (row.height, row.width))


def best(confusions: Tensor) -> str:
    """The best of the backgrounds: mIoU in points, and the constant."""
    miou = mean_iou(confusions)
    return f"{100 * miou.max():.2f} ({CONSTANTS[int(miou.argmax())]:g})"


@torch.no_grad()
def pooled(study: Study) -> tuple[Tensor, Tensor, Tensor]:
    """Features (N, D) under the CAM of each label, their labels (N,), and 1 / labels of their image (N,)."""
    features, labels, shares = [], [], []
    for row in study.learned:
        (image,) = at_scales(read_image(row.image), study.network.backbone.normalization, (1.0,))
        seen = study.network.features(image[None])
        under = pooled_under_cams(seen, study.network.fc8(seen))[0]
        for label in row.labels:
            features.append(under[label])
            labels.append(label)
            shares.append(1 / len(row.labels))
    print(f"features under the CAMs of {len(labels)} labels of {len(study.learned)} images", flush=True)
    return torch.stack(features), torch.tensor(labels), torch.tensor(shares)


def fitted(features: Tensor, labels: Tensor, start: Tensor, decay: float) -> Tensor:
    """The weights (C, D) of the least cross entropy + decay * their squared distance from a start."""
    weights = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([weights], max_iter=60, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = F.cross_entropy(features @ weights.T, labels) + decay * (weights - start).square().sum()
        found.backward()
        return found

    optimizer.step(loss)
    return weights.detach()


def descended(
    features: Tensor, labels: Tensor, shares: Tensor, weight: float, study: Study, steps: int
) -> Tensor:
    """The weights (C, D) after so many steps of the rates of the study's last layer, from random ones."""
    section = study.bundle.section.optimizer
    assert section.kind == "sgd"
    rate = section.learning_rate * section.head_lr_multiplier
    torch.manual_seed(0)
    weights = torch.nn.init.xavier_uniform_(torch.empty_like(study.weights)).requires_grad_()
    optimizer = torch.optim.SGD(
        [weights], lr=rate, momentum=section.momentum, weight_decay=section.weight_decay
    )
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps) ** 0.9
        some = torch.randint(len(labels), (LABELS_PER_STEP,), generator=generator)
        losses = F.cross_entropy(features[some] @ weights.T, labels[some], reduction="none")
        optimizer.zero_grad()
        (weight * (losses * shares[some]).sum() / shares[some].sum()).backward()
        optimizer.step()
    return weights.detach()


def tuned(study: Study, equivariance: float, refit: float, steps: int, batch: int, crop: int) -> Weights:
    """Train the study's classifier further, and return the weights of its one or two last layers."""
    network, section = study.network, study.bundle.section
    if refit:
        network.refit = torch.nn.Conv2d(study.weights.shape[1], study.weights.shape[0], 1, bias=False)
        network.refit.weight.data.copy_(network.fc8.weight.data)
    freeze(network, section.frozen_stages, section.batch_norm)
    network.train()
    losses = ClassifierLoss(network, Equivariance(weight=equivariance), refit)
    optimizer = build_optimizer(network, section.optimizer)
    transform = TrainTransform(crop, section.scale, section.jitter, network.backbone.normalization)
    targets, generator = multi_hot(study.learned, len(study.bundle.class_names)), np.random.default_rng(3)
    for step in range(steps):
        chosen = generator.integers(len(study.learned), size=batch)
        torch.manual_seed(step)
        views = [transform(read_image(study.learned[index].image), None, generator)[0] for index in chosen]
        found = losses(torch.stack(views), targets[chosen])
        optimizer.zero_grad()
        found["loss"].backward()
        optimizer.step()
        if (step + 1) % 10 == 0:
            print(step + 1, {name: round(value.item(), 4) for name, value in found.items()}, flush=True)
    layers = {"own": network.fc8, **({"refitted": network.refit} if network.refit is not None else {})}
    return {name: layer.weight.detach().flatten(1) for name, layer in layers.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("change", choices=["fit", "refit", "stride", "tune"])
    parser.add_argument("results", type=Path, help="of a finished study; images are found from here")
    parser.add_argument("--learned", type=int, default=400, help="images of train to learn from")
    parser.add_argument("--scored", type=int, default=150, help="images to score")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0, 0.5])
    parser.add_argument("--weights", type=float, nargs="+", default=[1.0, 0.3, 0.1, 0.03], help="of refit")
    parser.add_argument("--stride", type=int, default=8, help="output stride")
    parser.add_argument("--equivariance", type=float, default=0.0, help="its weight, of tune")
    parser.add_argument("--refit", type=float, default=0.0, help="its weight, of tune")
    parser.add_argument("--steps", type=int, default=978, help="of refit and tune")
    parser.add_argument("--batch", type=int, default=8, help="images of a step, of tune")
    parser.add_argument("--crop", type=int, default=192, help="pixels, of tune")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    study = Study.read(given.results, given.learned, given.scored)
    network, tried = study.network, {"own": study.weights}
    if given.change == "fit":
        features, labels, _ = pooled(study)
        nothing = torch.zeros_like(study.weights)
        for decay in DECAYS:
            tried[f"fitted, decay {decay:g}"] = fitted(features, labels, nothing, decay)
        tried["fitted from own, decay 0.01"] = fitted(features, labels, study.weights, 0.01)
    elif given.change == "refit":
        features, labels, shares = pooled(study)
        for weight in given.weights:
            found = descended(features, labels, shares, weight, study, given.steps)
            tried[f"weight {weight:g}"] = found
    elif given.change == "stride":
        section = study.bundle.section.model_copy(update={"output_stride": given.stride})
        network = build_classifier(section, len(study.bundle.class_names))
        network.load_state_dict(study.network.state_dict())
    else:
        tried = dict(tuned(study, given.equivariance, given.refit, given.steps, given.batch, given.crop))
    score(network, tried, study.scored, given.scales)


if __name__ == "__main__":
    main()
