"""The kinds of data sets: one model each, told apart by `kind`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from wsss.study.config.fields import Count, Float, Int, Natural, NotBool, PathText, Section, Text
from wsss.study.options import Difficult, VocClass


class Shapes(Section):
    """Images with image-level labels. Masks serve for scoring only."""

    kind: Literal["shapes"] = Field("shapes", description="scenes drawn from a seed; others see below")
    train: Count = Field(500, description="number of training images")
    val: Count = Field(100, description="number of unseen images on which the segmentation network is scored")
    size: Int = Field(128, ge=32, description="longest side of an image")
    seed: Natural = Field(0, description="another seed draws other images")


class Splits(Section):
    """Files with one image id per line."""

    train: PathText = Field(description="ids of the training images")
    val: PathText = Field(description="ids of the images on which the segmentation network is scored")


class Folder(Section):
    """A directory of images; the paths below `root` are relative to it."""

    kind: Literal["folder"] = Field(description="your own images")
    root: PathText = Field(
        description="the directory, relative to where snakemake runs", examples=["my_photos"]
    )
    images: PathText = Field("images", description="folder of the images, <id>.jpg or <id>.png")
    labels: PathText = Field(
        "labels.csv", description="image-level labels, lines of `id,class class ...`; folders: one per class"
    )
    classes: PathText = Field(
        "classes.txt", description="one class per line; line n has the value n in masks"
    )
    masks: PathText | None = Field(None, description="folder of masks, <id>.png, for scoring; null: none")
    palette: PathText | None = Field(
        None, description="masks in colours; voc, or a file of lines `class 128 0 0`; null: masks of values"
    )
    mask_values: dict[Natural, Text] | None = Field(
        None, description="{0: background, 255: cat}: what other values mean, and void; null: as in `classes`"
    )
    splits: Splits | None = Field(None, description="{train: file, val: file} of ids; null: see holdout")
    scored: PathText | None = Field(None, description="file of train ids to score; null: all with a mask")
    holdout: Float = Field(
        0.1, gt=0.0, lt=1.0, description="without splits: share of images in val, by hash of id"
    )

    def idle(self) -> frozenset[str]:
        """Lists of splits leave nothing to hold out."""
        return frozenset({"holdout"} if self.splits else ())

    @field_validator("mask_values")
    @classmethod
    def _not_both(cls, values: dict[int, str] | None, info: ValidationInfo) -> dict[int, str] | None:
        if values is not None and info.data.get("palette") is not None:
            raise ValueError("allowed null, as `palette` already says what the masks mean")
        return values

    @field_validator("scored")
    @classmethod
    def _needs_masks(cls, scored: str | None, info: ValidationInfo) -> str | None:
        if scored and info.data.get("masks", "") is None:
            raise ValueError("`scored` needs `masks`: without masks there is nothing to score")
        return scored


class Voc12(Section):
    """PASCAL VOC 2012, with the images that SBD adds to it."""

    kind: Literal["voc12"] = Field(description="PASCAL VOC 2012, see docs/datasets.md")
    root: PathText = Field(description="the folder VOCdevkit/VOC2012", examples=["data/VOCdevkit/VOC2012"])
    train: Literal["train_aug", "train"] = Field(
        "train_aug", description="train: the official 1,464 images; train_aug: the 10,582 with those of SBD"
    )
    sbd: PathText | None = Field(
        None, description="folder of SBD, for the lists of train_aug; null: the root has them"
    )
    classes: tuple[VocClass, ...] | None = Field(
        None,
        min_length=1,
        description="those of the study, line n with mask value n; others are void, images without any are "
        "left out; null: all 20",
        examples=[["cat", "dog"]],
    )
    showing: tuple[VocClass, ...] | None = Field(
        None,
        min_length=1,
        description="images must show one of these of `classes`, such as animals but not persons alone; "
        "null: any",
    )
    size: Annotated[int, Field(ge=32), NotBool] | None = Field(
        None,
        description="longest side in pixels to which photographs and masks are shrunk; null: as they are",
    )
    difficult: Difficult = Field(
        "dropped",
        description="objects marked difficult: dropped from the image's labels, or kept, as published",
    )
    full_masks: PathText | None = Field(
        None,
        description="folder of masks of training images that VOC has none of, for `upper_bound` alone: SBD's "
        "`cls` with .mat files, or PNGs such as SegmentationClassAug; null: none",
    )
    test: bool = Field(False, description="list the test images too, for `snakemake voc_submission`")
    download: bool = Field(False, description="fetch what is missing: VOC 2012 (2 GB), SBD (1.4 GB)")

    @field_validator("classes", "showing")
    @classmethod
    def _each_once(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names and len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice!r} is there twice")
        return names

    @field_validator("showing")
    @classmethod
    def _of_the_study(cls, names: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        classes = info.data.get("classes")
        if names and classes and (others := [name for name in names if name not in classes]):
            raise ValueError(f"{others[0]!r} is none of `classes`")
        return names

    @field_validator("test")
    @classmethod
    def _whole(cls, test: bool, info: ValidationInfo) -> bool:
        given = [key for key in ("classes", "showing", "size") if info.data.get(key) is not None]
        if test and given:
            raise ValueError(
                f"allowed false with `{given[0]}`: the server expects all classes, images and pixels"
            )
        return test

    def idle(self) -> frozenset[str]:
        """Only the lists of train_aug come from SBD."""
        return frozenset({"sbd"} if self.train == "train" and not self.download else ())


class Coco(Section):
    """COCO as distributed: train2014/, val2014/ and annotations/instances_*.json, or those of 2017."""

    kind: Literal["coco"] = Field(description="COCO 2014 or 2017, see docs/datasets.md")
    root: PathText = Field(description="the folder that holds annotations/", examples=["data/coco"])
    year: Annotated[Literal[2014, 2017], NotBool] = Field(2014, description="2014 or 2017")
    scored: Natural = Field(
        5000, description="training images on which CAMs and pseudo masks are scored, by hash of id"
    )
