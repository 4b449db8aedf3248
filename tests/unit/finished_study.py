"""A finished study in miniature, written with the writers that the stages use; no network has run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from wsss.data import ImageRow, Manifest, write_mask
from wsss.data.scenes import draw_scene
from wsss.method.labels import IGNORE, class_values, value_names
from wsss.method.metrics import class_iou, confusion_matrix
from wsss.results import (
    SIGNALS,
    HistoryWriter,
    ImageConfusion,
    RankedImage,
    write_cams,
    write_confident,
    write_confusions,
    write_json,
    write_manifest,
    write_masks,
    write_ranking,
    write_text,
)
from wsss.study.provenance import ArtifactManifest

CLASSES = ("<script>alert(1)</script>", "\"cat\" & 'co'", "</script><b>owl", "ladybird", "panda")
"""Names as nobody should choose them; an image shows up to three."""

SHIFTS = {"random_walk": 2, "segmentation": 4}
"""Pixels by which the masks of a stage are wrong."""

MASKS = Mapping[str, np.ndarray]


@dataclass
class FinishedStudy:
    """Writes the results of a study with `train` and `val` drawn scenes below a folder.

    Attributes:
        folder: `results/<study>`.
        ids: of the images; by default such as `train/0<i>` and `val/0<i>`.
        worse: pixels by which all masks are more wrong than usual.
    """

    folder: Path
    train: int = 6
    val: int = 3
    size: int = 48
    worse: int = 0
    classes: Sequence[str] = CLASSES
    rows: list[ImageRow] = field(default_factory=list)
    truth: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return value_names(self.classes)

    def draw(self) -> FinishedStudy:
        """Draw the photographs and their true masks, and list them."""
        generator = np.random.default_rng(3)
        for number in range(self.train + self.val):
            split = "train" if number < self.train else "val"
            image, mask = draw_scene(generator, self.size)
            image_id = f"{split}/0{number}<i>"
            photograph = self.folder.parent / "photos" / f"{image_id}.png"
            photograph.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(photograph)
            true = photograph.with_name(f"{photograph.stem}-true.png")
            write_mask(true, mask)
            labels = tuple(int(value) - 1 for value in np.unique(mask) if 0 < value < IGNORE)
            self.rows.append(ImageRow(image_id, photograph, true, split, True, labels, *mask.shape, "0"))
            self.truth[image_id] = mask
        Manifest(tuple(self.classes), tuple(self.rows)).write(self.folder / "dataset" / "manifest.tsv")
        return self

    def masks(self, stage: str, split: str) -> dict[str, np.ndarray]:
        """The masks of a stage: the true ones, moved aside, without the unknown border."""
        shift = SHIFTS[stage] + self.worse
        moved = {row.id: np.roll(self.truth[row.id], shift, 1) for row in self.rows if row.split == split}
        return {
            image_id: np.where(mask == IGNORE, 0, mask).astype(np.uint8) for image_id, mask in moved.items()
        }

    def compute(self) -> FinishedStudy:
        """Write what the stages make of the images, scores and signals."""
        train = [row for row in self.rows if row.split == "train"]
        write_cams(self.folder / "cams" / "train" / "00.npz", (self._cams(row) for row in train))
        walked = self.masks("random_walk", "train")
        undecided = {name: np.arange(mask.shape[1]) % 5 == 0 for name, mask in walked.items()}
        confident = [
            (name, np.where(undecided[name], IGNORE, mask).astype(np.uint8)) for name, mask in walked.items()
        ]
        write_confident(self.folder / "confident" / "00.h5", confident, pooling="nearest")
        for stage, split in (("random_walk", "train"), ("segmentation", "train"), ("segmentation", "val")):
            masks = self.masks(stage, split)
            write_masks(self.folder / stage / split / "00.h5", masks.items())
            for image_id, mask in masks.items():
                write_mask(self.folder / "masks" / stage / split / f"{image_id}.png", mask)
        self._score()
        return self

    def _cams(self, row: ImageRow) -> tuple[str, np.ndarray, np.ndarray]:
        values = class_values(row.labels)
        scores = (self.truth[row.id][::2, ::2] == values[:, None, None]) * 0.8 + 0.1
        return row.id, scores.astype(np.float16), values

    def _score(self) -> None:
        walked = self._scores("random_walk", "train")
        on_train, on_val = self._scores("segmentation", "train"), self._scores("segmentation", "val")
        both = [*on_train[0], *on_val[0]]
        cams = walked[1] | {
            "constant": 0.3, "constants": {"0.3": 0.4}, "alphas": {"4": 0.3}, "dense_crf": walked[1],
        }  # fmt: skip
        affinities = {
            "equal": 0.9,
            "different": 0.1,
            "beta": 8.0,
            "ceiling": walked[1],
            "protocol": "counted",
        }
        shares = {
            f"{kind}_{of}": 0.5 for kind in ("background", "foreground") for of in ("share", "precision")
        }
        classifier = {"map": 0.75, "average_precision": dict.fromkeys(self.classes, 0.75),
                      "scored_images": self.val, "split": "val", "protocol": "ranked"}  # fmt: skip
        scores = self.folder / "scores"
        for name, content in {
            "cams": cams, "affinities": affinities, "confident": shares | {"protocol": "decided"},
            "random_walk": walked[1], "segmentation": on_val[1] | {"train": on_train[1]},
            "classifier": classifier, "quality": {"signals": {"score": {"spearman": 0.5}}},
        }.items():  # fmt: skip
            write_json(scores / f"{name}.json", content)
        for name, confusions in {"cams": walked[0], "random_walk": walked[0], "segmentation": both}.items():
            write_confusions(scores / f"{name}.tsv", confusions)
        signals = dict.fromkeys(SIGNALS, 0.5)
        trusted = sorted(self.trust().items(), key=lambda item: item[1])
        ranking = [
            RankedImage(rank, name, (), value, signals) for rank, (name, value) in enumerate(trusted, 1)
        ]
        write_ranking(self.folder / "quality" / "images.tsv", ranking)

    def trust(self) -> dict[str, float]:
        """The score of the quality of each image of train."""
        return {row.id: (5 * number % 7) / 10 for number, row in enumerate(self.rows) if row.split == "train"}

    def _scores(self, stage: str, split: str) -> tuple[list[ImageConfusion], dict[str, Any]]:
        counts = {
            image_id: confusion_matrix(
                torch.from_numpy(mask), torch.from_numpy(self.truth[image_id]), len(self.names)
            )
            for image_id, mask in self.masks(stage, split).items()
        }
        total = sum(counts.values(), torch.zeros(len(self.names), len(self.names)))
        iou = class_iou(total)
        metrics = {
            "split": split, "scored_images": len(counts), "value_names": list(self.names),
            "protocol": "counted", "iou": dict(zip(self.names, iou.tolist(), strict=True)),
            "miou": float(iou.nanmean()), "confusion": total.tolist(),
        }  # fmt: skip
        return [ImageConfusion.of(name, split, found.numpy()) for name, found in counts.items()], metrics

    def tell(self) -> FinishedStudy:
        """Write what is around the results: alarms, histories, a sweep, benchmarks and manifests."""
        finding = {"severity": "alarm", "title": "<b>wrong</b>", "figure": "1", "meaning": "it is",
                   "help": ["`wsss check`"]}  # fmt: skip
        invocation = {"configfiles": ["tiny.yaml"], "config": [], "snakefile": None}
        write_json(
            self.folder / "health.json", {"findings": [finding], "silent": [], "invocation": invocation}
        )
        with HistoryWriter(self.folder / "segmenter" / "history.tsv") as history:
            for row in range(3):
                rates = {"learning_rate": 0.1, "images_per_second": 9.0}
                history.append({"step": row + 1, "epoch": row + 1, **rates, "loss": 1 / (row + 1)})
        point = {"background": "power", "constant": None, "normalize": "none", "agreement": 0.5,
                 "changed": 0.1, "vanished": 0.0, "label_free": 0.3, "alignment": 0.3}  # fmt: skip
        points = [
            point | {"rank": rank, "alpha": 4.0, "beta": beta, "t": t, "miou": 0.6 - rank / 100}
            for rank, (beta, t) in enumerate([(8.0, 16), (8.0, 64), (4.0, 16)], 1)
        ]
        write_json(self.folder / "sweep" / "points.json", {
            "points": points, "criterion": "miou", "images": self.train, "correlation": None,
            "protocol": "tried",
        })  # fmt: skip
        for job, seconds in {
            "train_segmenter": 90.5,
            "compute_cams/train/00": 3.0,
            "compute_cams/train/01": 4.0,
        }.items():
            write_text(
                self.folder / "benchmarks" / f"{job}.tsv",
                f"s\th:m:s\tmax_rss\n{seconds}\t0:00:01\t{10 * seconds}\n",
            )
        checkpoint = self.folder / "segmenter" / "checkpoint.pt"
        made = ArtifactManifest(
            artifact=str(checkpoint), rule="train_segmenter", seed=7, device="cpu", seconds=90.5,
            config={"seed": 7, "segmenter": {"epochs": "auto"}}, settled={"segmenter.epochs": 20.0},
            code={}, inputs={}, versions={"torch": "2.11.0"}, peak_memory_mb=905.0,
            created="2026-01-02T03:04:05+00:00",
        )  # fmt: skip
        write_manifest(checkpoint, made)
        return self
