"""Trained networks for everyone: `load_model(folder).predict(photograph)`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Self, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.method.cam import combine_cams
from wsss.method.labels import class_values
from wsss.models.affinitynet import AffinityNet
from wsss.models.bundles import AnyNetwork, restore_bundle
from wsss.models.classifier import Classifier
from wsss.models.normalization import Normalization
from wsss.models.segmenter import Segmenter
from wsss.runtime.compute import Compute
from wsss.runtime.devices import device as current_device
from wsss.stages.bundle.images import ImageLike, Pixels, over_images
from wsss.stages.inference.passes import at_scales, passes
from wsss.stages.inference.refinement import pixel_refinement
from wsss.stages.segmentation import class_probabilities
from wsss.study.bundle import AffinityNetBundle, Bundle, ClassifierBundle, SegmenterBundle

Images = Sequence[ImageLike]
"""Several images: a list or tuple. A path, which is a sequence to the type checker too, is one image."""


@dataclass(frozen=True, eq=False)
class SegmentedImage:
    """What a segmentation network makes of an image.

    Attributes:
        mask: (H, W) uint8 mask values: 0 background, 1 … C the classes.
        class_names: the C classes.
        value_names: names by mask value, background first.
        scores: (1 + C, H, W) float32 probabilities by mask value, if they were asked for.
    """

    mask: Pixels
    class_names: tuple[str, ...]
    value_names: tuple[str, ...]
    scores: NDArray[np.float32] | None = None

    @property
    def shares(self) -> dict[str, float]:
        """The share of pixels of each mask value, by name; they sum to 1."""
        counts = np.bincount(self.mask.ravel(), minlength=len(self.value_names)).tolist()
        return {name: count / self.mask.size for name, count in zip(self.value_names, counts, strict=True)}


@dataclass(frozen=True, eq=False)
class ClassifiedImage:
    """What a classifier makes of an image.

    Attributes:
        probabilities: of each class being in the image, by name, from 0 to 1.
        class_names: all classes.
        labels: (K,) int64, the mask values 1 … C of the classes whose CAMs these are, ascending.
        cams: (K, H, W) float32 in [0, 1].
    """

    probabilities: dict[str, float]
    class_names: tuple[str, ...]
    labels: NDArray[np.int64]
    cams: NDArray[np.float32]


class _Model:
    """A bundle's network, ready to use.

    Attributes:
        bundle: what the bundle says of itself.
        compute: where and how the network computes.
    """

    bundle: Bundle
    compute: Compute

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "auto") -> Self:
        """Read a bundle as `load_model` does; raises ValueError if it holds another network."""
        model = load_model(path, device)
        if not isinstance(model, cls):
            raise ValueError(f"{path}: a bundle of a {model.bundle.network}, expected {cls.__name__}")
        return model

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, without background."""
        return self.bundle.class_names

    @property
    def value_names(self) -> tuple[str, ...]:
        """Names by mask value, background first."""
        return self.bundle.value_names


class SegmentationModel(_Model):
    """A segmentation network, with the scales, mirror images and dense CRF of its study."""

    def __init__(self, network: Segmenter, bundle: SegmenterBundle, compute: Compute) -> None:
        self.network, self.bundle, self.compute = compute.place(network), bundle, compute
        self._segmentation, self._dense_crf = bundle.segmentation, bundle.dense_crf

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, images: ImageLike, *, scores: bool = False
    ) -> SegmentedImage: ...
    @overload
    def predict(self, images: Images, *, scores: bool = False) -> list[SegmentedImage]: ...
    @overload
    def predict(self, images: Iterator[ImageLike], *, scores: bool = False) -> Iterator[SegmentedImage]: ...

    def predict(self, images, *, scores=False):  # type: ignore[no-untyped-def]
        """Segment one image or several, each at its own size.

        Args:
            images: a path, a Pillow image or an array (H, W, 3) uint8 in RGB; or a list, tuple or iterator of
                these. Files and Pillow images are turned upright by their EXIF orientation.
            scores: keep the probabilities, too.

        Returns:
            A `SegmentedImage`; of a list or tuple a list of them; of an iterator an iterator, which reads
            some images ahead. Several images give what each gives by itself, up to the last digit of
            scores.

        Raises:
            ValueError: an image cannot be read, or is no image; the message names the file.
            FileNotFoundError: there is no such file.
        """
        limit = self.compute.batch_pixels / max(self._segmentation.scales) ** 2
        return over_images(images, partial(self._segmented, keep_scores=scores), limit)

    def _segmented(self, images: Sequence[Pixels], *, keep_scores: bool) -> Iterator[SegmentedImage]:
        segmentation, size = self._segmentation, (images[0].shape[0], images[0].shape[1])
        batch = _stacked(images, self.network.backbone.normalization, segmentation.scales)
        found = class_probabilities(self.network, batch, size, segmentation.flip, self.compute)
        for image, scores in zip(images, found, strict=True):
            refine = pixel_refinement(image, self._dense_crf, scores.device) if self._dense_crf else None
            refined = refine(scores) if refine else scores
            yield SegmentedImage(
                refined.argmax(0).to(torch.uint8).cpu().numpy(),
                self.class_names,
                self.value_names,
                refined.float().cpu().numpy() if keep_scores else None,
            )


class ClassificationModel(_Model):
    """A classifier, with the scales and mirror images of its study's CAMs."""

    def __init__(self, network: Classifier, bundle: ClassifierBundle, compute: Compute) -> None:
        self.network, self.bundle, self.compute = compute.place(network), bundle, compute
        self._cams = bundle.cams
        self._cam = partial(self.network.cam, weights=bundle.cams.weights)

    @overload
    def predict(  # type: ignore[overload-overlap]
        self, images: ImageLike, *, labels: Sequence[int] | None = None, threshold: float = 0.5
    ) -> ClassifiedImage: ...
    @overload
    def predict(
        self, images: Images, *, labels: Sequence[int] | None = None, threshold: float = 0.5
    ) -> list[ClassifiedImage]: ...
    @overload
    def predict(
        self, images: Iterator[ImageLike], *, labels: Sequence[int] | None = None, threshold: float = 0.5
    ) -> Iterator[ClassifiedImage]: ...

    def predict(self, images, *, labels=None, threshold=0.5):  # type: ignore[no-untyped-def]
        """Classify one image or several, and compute the CAMs of the classes that are there.

        Args:
            images: as for `SegmentationModel.predict`.
            labels: mask values 1 … C of the classes whose CAMs are computed; by default of those found.
            threshold: a class is found at this probability or above.

        Returns:
            A `ClassifiedImage`; of a list or tuple a list of them; of an iterator an iterator.

        Raises:
            ValueError: an image cannot be read, or is no image, or a label is no mask value of a class.
            FileNotFoundError: there is no such file.
        """
        known = range(1, 1 + len(self.class_names))
        if labels is not None and (unknown := [value for value in labels if value not in known]):
            raise ValueError(f"labels: got {unknown}, expected mask values 1 … {len(self.class_names)}")
        wanted = None if labels is None else tuple(sorted({int(value) - 1 for value in labels}))
        limit = self.compute.batch_pixels / max(1.0, *self._cams.scales) ** 2
        return over_images(images, partial(self._classified, wanted=wanted, threshold=threshold), limit)

    @torch.inference_mode()
    def _classified(
        self, images: Sequence[Pixels], *, wanted: tuple[int, ...] | None, threshold: float
    ) -> list[ClassifiedImage]:
        normalization = self.network.backbone.normalization
        whole = _stacked(images, normalization, (1.0,))
        logits = next(passes(self.network, whole, False, self.compute))[0]
        batch = _stacked(images, normalization, self._cams.scales)
        seen = list(passes(self._cam, batch, self._cams.flip, self.compute))
        size, results = (images[0].shape[0], images[0].shape[1]), []
        for index, probabilities in enumerate(logits.sigmoid().tolist()):
            found = [place for place, share in enumerate(probabilities) if share >= threshold]
            classes = found if wanted is None else list(wanted)
            raw = ((scores[index, classes], mirrored) for scores, mirrored in seen)
            cams: Tensor = combine_cams(raw, size, power=self.network.backbone.cam_exponent)
            named = dict(zip(self.class_names, probabilities, strict=True))
            values = class_values(classes)
            results.append(ClassifiedImage(named, self.class_names, values, cams.cpu().numpy()))
        return results


class AffinityModel(_Model):
    """An AffinityNet, with the random walk and dense CRF of its study, for `refine`."""

    def __init__(self, network: AffinityNet, bundle: AffinityNetBundle, compute: Compute) -> None:
        self.network, self.compute = compute.place(network), compute
        self.bundle: AffinityNetBundle = bundle


Model = SegmentationModel | ClassificationModel | AffinityModel


def load_model(path: str | Path, device: str | torch.device = "auto") -> Model:
    """Read a trained network from its bundle, a folder such as `results/<study>/bundle/segmenter`.

    Nothing else is needed: no data set and no study. A segmentation network gives masks, a classifier
    probabilities and CAMs, see their `predict`; an AffinityNet is for `refine`.

    Args:
        path: the folder.
        device: "auto" for a GPU if there is one, "cpu", "cuda", or any of PyTorch's devices.

    Raises:
        ValueError: the bundle is damaged or from elsewhere, or there is no such device. The message names
            the file.
    """
    network, bundle = restore_bundle(path)
    compute = Compute(device_named(device), bundle.precision)
    return _model(network, bundle, compute)


def _model(network: AnyNetwork, bundle: Bundle, compute: Compute) -> Model:
    match network, bundle:
        case Segmenter(), SegmenterBundle():
            return SegmentationModel(network, bundle, compute)
        case Classifier(), ClassifierBundle():
            return ClassificationModel(network, bundle, compute)
        case AffinityNet(), AffinityNetBundle():
            return AffinityModel(network, bundle, compute)
    raise AssertionError("restore_bundle returns the network that the bundle names")


def device_named(name: str | torch.device) -> torch.device:
    """Find a device by name, "auto" being a GPU if there is one; raises ValueError if there is none such."""
    if name == "auto":
        return current_device()
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device: {name}: {error}") from error
    return found


def _stacked(
    images: Sequence[Pixels], normalization: Normalization, scales: Sequence[float]
) -> tuple[Tensor, ...]:
    """Images of one size as inputs of a network, (B, 3, sH, sW) for each scale."""
    views = [at_scales(image, normalization, scales) for image in images]
    return tuple(torch.stack(of_scale) for of_scale in zip(*views, strict=True))
