"""Trained networks for other programs: ONNX, and PyTorch's exported programs."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wsss.method.cam import combine_cams
from wsss.models.bundles import restore_bundle
from wsss.models.classifier import Classifier
from wsss.models.segmenter import Segmenter
from wsss.results import replacing
from wsss.study.bundle import Bundle, ClassifierBundle
from wsss.study.options import CamWeights

OPSET = 20
"""Version of ONNX's operators."""

TOLERANCE = 1e-4
"""Largest difference between what an exported file and PyTorch compute."""

EXAMPLE = (2, 96, 128)
CHECKED = ((1, 64, 96), (3, 61, 77))
"""Images, height and width: of the example that is traced, and of those that are compared."""

DIMENSIONS = ("batch", "height", "width")


class ExportError(ValueError):
    """A network cannot be exported, or the file computes something else."""


class DeployedSegmenter(nn.Module):
    """Photographs to masks, normalisation and resizing included."""

    outputs = ("logits", "mask")

    def __init__(self, network: Segmenter) -> None:
        super().__init__()
        self.network = network
        self.normalize = _Normalize(network)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, 3) uint8 RGB → logits (B, 1 + C, H, W) float32, and mask values (B, H, W) uint8."""
        logits: Tensor = self.network(self.normalize(images))
        return logits, logits.argmax(1).to(torch.uint8)


class DeployedClassifier(nn.Module):
    """Photographs to probabilities and CAMs, normalisation and resizing included."""

    outputs = ("probabilities", "cams")

    def __init__(self, network: Classifier, weights: CamWeights = "classifier") -> None:
        super().__init__()
        self.network = network
        self.cam_layer = network.head(weights)
        self.normalize = _Normalize(network)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, H, W, 3) uint8 RGB → probabilities (B, C) and CAMs (B, C, H, W) in [0, 1], float32.

        Each CAM is divided by its maximum, whether its class is there or not.
        """
        features = self.network.features(self.normalize(images))
        size, seen = (images.shape[1], images.shape[2]), self.cam_layer(features)
        cams = combine_cams([(seen, False)], size, power=self.network.backbone.cam_exponent)
        return self.network.logits(features).sigmoid(), cams


class _Normalize(nn.Module):
    mean: Tensor
    std: Tensor

    def __init__(self, network: Segmenter | Classifier) -> None:
        super().__init__()
        normalization = network.backbone.normalization
        self.bgr = normalization.bgr
        self.register_buffer("mean", torch.tensor(normalization.mean)[:, None, None])
        self.register_buffer("std", torch.tensor(normalization.std)[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        colours = images.permute(0, 3, 1, 2).float() / 255
        return ((colours.flip(1) if self.bgr else colours) - self.mean) / self.std


Deployed = DeployedSegmenter | DeployedClassifier


def deployed(folder: str | Path) -> tuple[Deployed, Bundle]:
    """Read a bundle's network as a module from photographs to results.

    It sees images once, at their own size: scales, mirror images and the dense CRF are not part of it.

    Raises:
        ExportError: the bundle is of an AffinityNet.
        ArtifactError: the bundle is damaged or from elsewhere.
    """
    network, bundle = restore_bundle(folder)
    if isinstance(network, Segmenter):
        return DeployedSegmenter(network).eval(), bundle
    if isinstance(network, Classifier):
        assert isinstance(bundle, ClassifierBundle)  # the network that it names
        return DeployedClassifier(network, bundle.cams.weights).eval(), bundle
    raise ExportError(f"{folder}: an AffinityNet, expected a segmentation network or a classifier")


def exported_program(module: Deployed) -> torch.export.ExportedProgram:
    """Trace a module for batches of any number of images of any size from 16 pixels a side on.

    Raises:
        ExportError: PyTorch cannot trace the network for any size.
    """
    dynamic = torch.export.Dim.DYNAMIC
    shapes = ({axis: dynamic for axis in range(len(DIMENSIONS))},)
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(module, (_images(EXAMPLE),), dynamic_shapes=shapes)
    except Exception as error:  # PyTorch raises many kinds
        raise ExportError(f"torch.export cannot trace this network for any size: {error}") from error


def write_torch(path: Path, folder: str | Path) -> None:
    """Write a bundle's network as a program of torch.export, `.pt2`.

    Raises:
        ExportError: it cannot be traced, or computes something else than the network.
        ArtifactError: the bundle is damaged or from elsewhere.
    """
    module, _ = deployed(folder)
    program = exported_program(module)
    run = program.module()
    for images in map(_images, CHECKED):
        with torch.no_grad():
            _compare(module(images), [result.numpy() for result in run(images)], str(path))
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.export.save(program, file)


def write_onnx(path: Path, folder: str | Path) -> None:
    """Write a bundle's network as ONNX, and compare it with PyTorch at two sizes.

    Its input `images` is (batch, height, width, 3) uint8 in RGB; see `DeployedSegmenter` and
    `DeployedClassifier` for its outputs. The metadata has the names of the mask values.

    Raises:
        ExportError: onnx is not installed, the network cannot be traced, or computes something else.
        ArtifactError: the bundle is damaged or from elsewhere.
    """
    if missing := [name for name in ("onnx", "onnxruntime", "onnxscript") if find_spec(name) is None]:
        raise ExportError(f"{', '.join(missing)} not installed: pip install {' '.join(missing)}")
    module, bundle = deployed(folder)
    content = _onnx_model(exported_program(module), module, bundle)
    for images in map(_images, CHECKED):
        with torch.no_grad():
            _compare(module(images), _run_onnx(content, images), str(path))
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _onnx_model(program: torch.export.ExportedProgram, module: Deployed, bundle: Bundle) -> bytes:
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = torch.onnx.export(
            program,
            (),
            dynamo=True,
            opset_version=OPSET,
            input_names=["images"],
            output_names=list(module.outputs),
            verbose=False,
        )
    assert written is not None  # it is, with dynamo
    model = written.model_proto
    _name_dimensions(model.graph)
    facts = {
        "network": bundle.network,
        "class_names": json.dumps(bundle.class_names, ensure_ascii=False),
        "value_names": json.dumps(bundle.value_names, ensure_ascii=False),
        "study": bundle.provenance.study,
        "wsss": bundle.provenance.wsss,
    }
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def _name_dimensions(graph: Any) -> None:
    """Call the dynamic dimensions batch, height and width, as users read them."""
    dimensions = graph.input[0].type.tensor_type.shape.dim[: len(DIMENSIONS)]
    names = {dimension.dim_param: name for dimension, name in zip(dimensions, DIMENSIONS, strict=True)}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in names:
                dimension.dim_param = names[dimension.dim_param]


def _run_onnx(content: bytes, images: Tensor) -> Sequence[NDArray[Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    results: Sequence[NDArray[Any]] = session.run(None, {"images": images.numpy()})
    return results


def _compare(expected: Sequence[Tensor], found: Sequence[NDArray[Any]], path: str) -> None:
    """Compare numbers; masks may differ where two classes are equal to the last digits, and are left out."""
    for wanted, got in zip(expected, found, strict=True):
        if wanted.is_floating_point():
            difference = float(np.abs(wanted.numpy() - got).max(initial=0))
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"{path}: not written, it differs from PyTorch by {difference:.3g} on images of "
                    f"{tuple(wanted.shape)}, expected at most {TOLERANCE:g}"
                )


def _images(shape: tuple[int, int, int]) -> Tensor:
    """Images of noise, (B, H, W, 3) uint8."""
    return torch.randint(0, 256, (*shape, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
