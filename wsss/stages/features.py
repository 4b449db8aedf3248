"""The features of a frozen backbone, which are the same in every epoch, for affinities, and in later rounds.

A training on features computes them once per image and keeps them while the run lasts
(`wsss.study.features`); what needs them afterwards reads them, and computes those that are not there. They
are no artifacts: whoever computes them gets the same, up to the rounding of images that go together.
"""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from wsss.data import ImageRow
from wsss.data.loading import batches_by_size
from wsss.method.resizing import scaled_size
from wsss.models.grid import GridNetwork, grid_of_size
from wsss.results import Shards, open_shards, read_features, write_features
from wsss.runtime.compute import Compute
from wsss.runtime.console import progress
from wsss.runtime.disk import naming_full_disk
from wsss.runtime.processes import from_leader, share, wait_for_all
from wsss.stages.inference.features import compute_features
from wsss.study.config import AffinityNet, IRNet
from wsss.study.config.fields import settled
from wsss.study.features import features_folder

FeatureMap = NDArray[np.float16]

logger = logging.getLogger(__name__)


class FeatureFolder:
    """The features of one backbone, in the files of one folder."""

    def __init__(
        self, parent: Path, network: GridNetwork, section: AffinityNet | IRNet, compute: Compute
    ) -> None:
        """Take the folder below ``parent`` whose name is what decides the features of a network.

        Args:
            parent: folder of the features of all backbones.
            network: in evaluation mode where it computes features.
            section: its section.
            compute: where and how it computes them.
        """
        self.network, self.section, self.compute = network, section, compute
        self.path = parent / identity(network, section, compute)

    def opened(self) -> Shards[FeatureMap]:
        """Open what is there: features (h, w, C) float16 by image id."""
        return open_shards(sorted(self.path.glob("*.h5")), read_features)

    def complete(self, rows: Sequence[ImageRow]) -> None:
        """Compute and write the features of those images that have none; processes share the work.

        Raises:
            OSError: the disk has no room for them; nothing is computed then.
        """
        with self.opened() as known:
            missing = _missing(rows, known)
        if not missing:
            return
        needed = sum(map(self._bytes, missing))
        self._require_free(needed)
        self.path.mkdir(parents=True, exist_ok=True)
        first = len(list(self.path.glob("*.h5")))
        wait_for_all()  # all have counted before one writes
        own = share(missing)
        maps = self._computed(own)
        shown = progress(maps, len(own), "images", "backbone") if self.compute.leads else maps
        with naming_full_disk(self.path, size=needed):
            write_features(self.path / f"{first + self.compute.rank:03}.h5", shown)
        wait_for_all()

    def of(self, rows: Sequence[ImageRow]) -> Iterator[tuple[str, FeatureMap]]:
        """Yield id and features of images, read or computed, in the order in which they would be computed."""
        with self.opened() as known:
            computed = self._computed(_missing(rows, known))
            for batch in batches_by_size(rows, 1):
                for row in batch:
                    yield (row.id, known[row.id]) if row.id in known else next(computed)

    @torch.inference_mode()
    def seen_by(
        self, layers: Callable[[Sequence[Tensor]], Tensor], rows: Sequence[ImageRow]
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield id and what the layers above the backbone make of features (1, C, h, w), as one image."""
        for image_id, values in self.of(rows):
            maps = torch.from_numpy(values)[None].permute(0, 3, 1, 2)
            features = map(self.compute.put, torch.split(maps, list(self.network.widths), dim=1))
            with self.compute.autocast():
                result = layers(list(features))
            yield image_id, result[0]

    def _computed(self, rows: Sequence[ImageRow]) -> Iterator[tuple[str, FeatureMap]]:
        scale = settled(self.section.input_scale)
        return compute_features(self.network, rows, input_scale=scale, compute=self.compute)

    def _bytes(self, row: ImageRow) -> int:
        height, width = grid_of_size(scaled_size((row.height, row.width), settled(self.section.input_scale)))
        return height * width * sum(self.network.widths) * np.dtype(np.float16).itemsize

    def _require_free(self, needed: int) -> None:
        place = next(folder for folder in (self.path, *self.path.parents) if folder.is_dir())
        free = shutil.disk_usage(place).free
        if needed > free:
            section = type(self.section).__name__.lower()
            raise OSError(
                f"{place}: the backbone's features need {needed / 1e9:.1f} GB, the disk has {free / 1e9:.1f} "
                f"GB free. Set {section}.train_on: {{kind: images}}, or a smaller {section}.input_scale."
            )


def _missing(rows: Sequence[ImageRow], known: Mapping[str, FeatureMap]) -> list[ImageRow]:
    missing = [row for row in rows if row.id not in known]
    logger.info("features of %d of %d images are there", len(rows) - len(missing), len(rows))
    return missing


def identity(network: GridNetwork, section: AffinityNet | IRNet, compute: Compute) -> str:
    """Digest what decides the features of a network: its backbone and weights, and how it computes."""
    facts = [
        type(network).__name__,
        section.backbone,
        section.output_stride,
        settled(section.input_scale),
        compute.device.type,
        compute.precision,
        compute.deterministic,
    ]
    digest = blake2b(json.dumps(facts).encode(), digest_size=16)
    for name, tensor in sorted(network.backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def kept_for(
    images: Path | str, network: GridNetwork, section: AffinityNet | IRNet, compute: Compute
) -> FeatureFolder | None:
    """The features of a network that was trained on them, if a table of images belongs to a study."""
    folder = features_folder(images) if section.train_on.kind == "features" else None
    return FeatureFolder(folder, network, section, compute) if folder else None


@contextmanager
def folder_for(kept: Path | None, beside: Path) -> Iterator[Path]:
    """The folder in which a training keeps features: ``kept``, or one ``beside`` a file that ends with it."""
    if kept is not None:
        yield kept
        return
    own = tempfile.TemporaryDirectory(prefix=".features-", dir=beside.parent)
    with own as name:
        yield Path(from_leader(name))
        wait_for_all()  # others may still read
