"""The study: one model per stage, and the one source of `config.yaml` and `schemas/config.schema.yaml`.

`wsss config write` writes both files; a field's description is its comment in `config.yaml`.
Lengths are in pixels of the image, or in cells of the stride-8 grid where a description says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from wsss.study.config.datasets import Coco, Folder, Shapes, Voc12
from wsss.study.config.fields import (
    AUTO,
    Alphas,
    Auto,
    Betas,
    Constants,
    Count,
    Flip,
    Float,
    ImageScales,
    InputScale,
    Natural,
    NonNegative,
    PathText,
    Positive,
    Radius,
    Refine,
    Section,
    Share,
    Text,
    Ts,
    settled,
)
from wsss.study.config.files import ConfigError, read_yaml
from wsss.study.config.networks import AffinityNet, Classifier, IRNet, Network, PairNetwork, Segmenter
from wsss.study.config.recipes import recipe_names, recipe_settings
from wsss.study.config.text import problems
from wsss.study.integrity import require_whole
from wsss.study.options import CamWeights, CellPadding, NormalizedOn, Pooling, Precision, ScoreNormalization
from wsss.study.provenance import DamagedError
from wsss.study.registry import cam_formats
from wsss.study.words import did_you_mean, near

BASE = "config.yaml"
"""Name of the file that holds the defaults, below recipes and studies."""


class Shards(Section):
    """Result files per split and stage. More shards: smaller jobs, so that a new image recomputes less."""

    train: Count | Auto = Field(2, description="100 to 500 images per shard work well; auto: about 250")
    val: Count | Auto = Field(1, description="the same for val")
    test: Count | Auto = Field(1, description="the same for test, of a data set that has it")

    def __getitem__(self, split: str) -> int:
        """The number of shards of a split, once it is settled, see `wsss.study.follow`."""
        count: int | Auto = getattr(self, split)
        return settled(count)


class ClassifierCams(Section):
    """Class activation maps: where in the image the classifier sees each of its classes."""

    kind: Literal["classifier"] = Field("classifier", description="our own CAMs; or files, see below")
    scales: ImageScales = (1.0, 0.5, 1.5, 2.0)
    flip: Flip = True
    weights: CamWeights = Field(
        "classifier",
        description="of the head; refit: of the second head, which tells labels apart, see classifier.refit",
    )


class FileCams(Section):
    """CAMs that another system has computed, one file per image."""

    kind: Literal["files"]
    format: Text = Field(
        description="stacks, psa, irn, clip_es, puzzlecam or png, see docs/other_cams.md", examples=["stacks"]
    )
    folder: PathText = Field(
        description="folder of the files, <id>.npy or as the format has them", examples=["my_cams"]
    )

    @field_validator("format")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in (known := cam_formats()):
            raise ValueError(f"allowed {' or '.join(known)}")
        return name


class SegmenterCams(Section):
    """What a segmentation network has learned, kept to each image's labels: the seeds of another round."""

    kind: Literal["segmenter"]
    checkpoint: PathText = Field(
        description="of the network, on the same classes", examples=["results/first/segmenter/checkpoint.pt"]
    )
    scales: ImageScales = (1.0,)
    flip: Flip = False
    refine: Refine = "none"


Cams = ClassifierCams | FileCams | SegmenterCams


class PowerThresholds(Section):
    """The paper's two backgrounds, (1 - largest CAM)^alpha."""

    kind: Literal["power"] = Field(
        "power", description="power: (1 - largest CAM)^alpha; or constant, see below"
    )
    low_alpha: Positive = Field(
        1.2, description="exponent of the strong background: a class that still beats it is confident"
    )
    high_alpha: Positive = Field(
        6.0, description="exponent of the weak background: pixels it still wins are confident background"
    )

    @field_validator("high_alpha")
    @classmethod
    def _above_low_alpha(cls, high_alpha: float, info: ValidationInfo) -> float:
        if high_alpha <= info.data.get("low_alpha", 0):
            raise ValueError(f"allowed a number > low_alpha ({info.data['low_alpha']:g})")
        return high_alpha


class ConstantThresholds(Section):
    """Two constant backgrounds, as IRN has them."""

    kind: Literal["constant"]
    foreground: Share = Field(0.3, description="a class that beats this score is confident")
    background: Share = Field(
        0.05, description="pixels where no class reaches this score are confident background"
    )

    @field_validator("background")
    @classmethod
    def _below_foreground(cls, background: float, info: ValidationInfo) -> float:
        if background >= (foreground := info.data.get("foreground", 1.1)):
            raise ValueError(f"allowed a number < foreground ({foreground:g})")
        return background


class Confident(Section):
    """Confident regions, labels of AffinityNet and IRNet: what a strong and a weak background agree on."""

    background: Annotated[PowerThresholds | ConstantThresholds, Field(discriminator="kind")] = (
        PowerThresholds()
    )
    refine: Refine = "dense_crf"
    pooling: Pooling = Field(
        "vote",
        description="label of a stride-8 cell; vote: the most frequent of its pixels; scores: the winner of "
        "their mean scores, as published",
    )


class DenseCrf(Section):
    """Dense CRF wherever a stage says `refine: dense_crf`. Published: [3, 3], [80, 13, 10] on 500 px."""

    iterations: Natural = Field(10, description="mean field iterations")
    gaussian: tuple[Positive, NonNegative] = Field(
        (3.0, 3.0), description="smoothing kernel: [distance, weight]"
    )
    bilateral: tuple[Positive, Positive, NonNegative] = Field(
        (20.0, 10.0, 3.0), description="kernel that follows colours: [distance, grey levels, weight]"
    )
    distances: Literal["pixels", "share"] = Field(
        "pixels",
        description="pixels, or share: of the longest side of each image, 0.08 in place of 20 of 250",
    )


class NetworkAffinities(Section):
    """Affinities as they are kept for the random walk, before the power beta."""

    kind: Literal["network"] = Field("network", description="of AffinityNet; or irn or boundary, see below")
    flip: Flip = False


class IrnAffinities(Section):
    """1 - the largest boundary value on the path between two cells, as IRNet sees them, section irnet."""

    kind: Literal["irn"]
    flip: Flip = False
    radius: Radius = 5


class BoundaryAffinities(Section):
    """The same of boundary maps of another system, one file per image."""

    kind: Literal["boundary"]
    folder: PathText = Field(
        description="folder of boundary maps, <id>.npy or <id>.png", examples=["my_boundaries"]
    )
    input_scale: InputScale = 2.0
    radius: Radius = 5


Affinities = NetworkAffinities | IrnAffinities | BoundaryAffinities


class PowerBackground(Section):
    """The paper's background, which walks along with the classes."""

    kind: Literal["power"] = Field(
        "power", description="power: (1 - largest CAM)^alpha; or constant, see below"
    )
    alpha: Positive | Auto = Field(
        3.0, description="exponent; larger: less background; published: 16; auto: chosen by a sweep"
    )


class ConstantBackground(Section):
    """A background with the same score everywhere."""

    kind: Literal["constant"]
    score: Share | Auto = Field(
        0.3, description="its score; larger: more background; auto: chosen by a sweep"
    )


class RandomWalk(Section):
    """Random walk of the CAMs over the affinities: pseudo masks."""

    background: Annotated[PowerBackground | ConstantBackground, Field(discriminator="kind")] = (
        PowerBackground()
    )
    beta: Positive | Auto = Field(
        12.0,
        description="exponent of the affinities; larger: fainter borders stop the walk; auto: chosen by a "
        "sweep",
    )
    t: Count | Auto = Field(
        16,
        description="steps of the walk; it spreads over about radius * sqrt(t) / 2 cells; auto: chosen by a "
        "sweep",
    )
    tolerance: Float = Field(0.0001, gt=0.0, lt=1.0, description="largest error of the propagated scores")
    padding: CellPadding = Field(
        "none",
        description="of the scores to whole cells; none: cells at the border average their pixels inside the "
        "image; zeros: as published",
    )
    normalize: ScoreNormalization = Field(
        "none",
        description="after the walk; class: divide each class by its own maximum; image: divide all by the "
        "largest, as IRN does",
    )
    normalize_on: NormalizedOn = Field(
        "cells",
        description="where that maximum is taken; cells: of the grid; pixels: of the image, as IRN does",
    )
    refine: Refine = "dense_crf"

    def idle(self) -> frozenset[str]:
        """Without normalisation there is no place for it."""
        return frozenset({"normalize_on"} if self.normalize == "none" else ())

    @property
    def chosen_keys(self) -> tuple[str, ...]:
        """The keys that say `auto`, of `alpha` or `score`, `beta`, `t`: a sweep chooses their values."""
        values = {**dict(self.background), "beta": self.beta, "t": self.t}
        return tuple(key for key, value in values.items() if value == AUTO)


class Sweep(Section):
    """`snakemake sweep`: other values of random_walk, without networks and without dense CRF."""

    alphas: Alphas = (1.0, 1.5, 2.0, 4.0, 8.0, 16.0)
    constants: Constants = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
    betas: Betas = (4.0, 6.0, 8.0, 12.0, 16.0)
    ts: Ts = (8, 16, 32, 64, 128, 256)
    images: Count | None = Field(
        None, description="most images that are swept, by hash of id; null: all that are scored, or all"
    )


class Segmentation(Section):
    """Masks predicted by the segmentation network."""

    splits: tuple[Literal["train", "val"], ...] = Field(
        ("train", "val"), description="splits that are segmented; train: for the gallery of the report"
    )
    scales: ImageScales = (1.0,)
    flip: Flip = False
    refine: Refine = "none"

    @field_validator("splits")
    @classmethod
    def _with_val(cls, splits: tuple[str, ...]) -> tuple[str, ...]:
        if "val" not in splits or len(set(splits)) < len(splits):
            raise ValueError("allowed [val] or [train, val]")
        return tuple(sorted(splits))


class Predict(Section):
    """`snakemake predict`: masks of new photographs by the trained network, without labels."""

    images: Text | None = Field(
        None, description="folder of photographs, those in its sub-folders included; null: none"
    )
    shards: Count = Field(8, description="jobs; a new photograph recomputes one of them")


LATER = (
    "cams",
    "confident",
    "dense_crf",
    "affinitynet",
    "irnet",
    "affinities",
    "random_walk",
    "sweep",
    "segmenter",
    "segmentation",
)
"""The sections that may say something else from the second round on."""


class Rounds(Section):
    """Rounds of seeds, affinities, pseudo masks and segmentation network, see docs/rounds.md."""

    count: Count = Field(
        1, description="from the second on, the network of the round before gives the seeds in place of CAMs"
    )
    agreement: bool = Field(
        False,
        description="true: from the second on, pixels whose class is not that of the round before are not "
        "learned from",
    )
    later: dict[Text, dict[str, Any]] = Field(
        {},
        description="sections as they are from the second round on, laid over those of the study: "
        "{random_walk: {beta: 8}}",
    )

    @field_validator("later")
    @classmethod
    def _known(cls, later: dict[str, Any]) -> dict[str, Any]:
        for section in later:
            if section not in LATER:
                hint = did_you_mean(section, LATER) or f", allowed {', '.join(LATER)}"
                raise ValueError(f"no round has a section `{section}` of its own{hint}")
        return later


class Report(Section):
    """What the report shows."""

    gallery: Natural = Field(6, description="number of best images shown, and of worst")


class Study(Section):
    """Everything that decides the results of a study. Threads and memory are set in rules/ and profiles/."""

    name: str = Field(
        "shapes", pattern=r"^[a-z0-9][a-z0-9_-]*$", description="results lie in <results>/<name>/"
    )
    results: PathText = Field("results", description="relative to where snakemake runs")
    recipe: Text | None = Field(
        None, description="settings of studies/recipes/ below those of the study itself; null: none"
    )
    seed: Natural = Field(0, description="of initial weights, crops and order; mIoU varies by about 2 points")
    precision: Precision = Field("auto", description="auto: bfloat16 where faster")
    deterministic: bool = Field(
        False,
        description="true: the same results with any number of threads, cores and shards, at a price: see "
        "docs/devices.md",
    )
    refined_splits: tuple[Literal["train", "val"], ...] = Field(
        ("train",), description="splits for which CAMs and pseudo masks are computed"
    )
    upper_bound: bool = Field(
        False,
        description="true: the segmentation network is trained on true masks as well, in full/, to tell how "
        "far the pseudo masks are from full supervision",
    )
    shards: Shards = Shards()
    dataset: Shapes | Folder | Voc12 | Coco = Field(Shapes(), discriminator="kind")
    classifier: Classifier = Classifier()
    cams: Cams = Field(ClassifierCams(), discriminator="kind")
    confident: Confident = Confident()
    dense_crf: DenseCrf = DenseCrf()
    affinitynet: AffinityNet = AffinityNet()
    irnet: IRNet = IRNet()
    affinities: Affinities = Field(NetworkAffinities(), discriminator="kind")
    random_walk: RandomWalk = RandomWalk()
    sweep: Sweep = Sweep()
    segmenter: Segmenter = Segmenter()
    segmentation: Segmentation = Segmentation()
    rounds: Rounds = Rounds()
    predict: Predict = Predict()
    report: Report = Report()

    @property
    def folder(self) -> str:
        """Where its results lie."""
        return f"{self.results}/{self.name}"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits of the data set; `test` has neither labels nor masks."""
        return ("train", "val", "test") if getattr(self.dataset, "test", False) else ("train", "val")

    @property
    def uses_classifier(self) -> bool:
        """Whether any stage needs the classifier: for its CAMs, or to start from its weights."""
        compared = [self.pair_network] if self.pair_network else []
        networks = [self.segmenter, *(getattr(self, name) for name in compared)]
        return self.cams.kind == "classifier" or any(net.weights == "classifier" for net in networks)

    @property
    def pair_network(self) -> str | None:
        """The network that learns from pairs of confident cells, and gives the affinities, if one does."""
        return {"network": "affinitynet", "irn": "irnet"}.get(self.affinities.kind)

    @property
    def uses_confident(self) -> bool:
        """Whether affinities come from a network, and so need its labels, the confident regions."""
        return self.pair_network is not None

    @property
    def trained_networks(self) -> list[str]:
        """The networks that this study trains, in the order of the road."""
        used = ["classifier" if self.uses_classifier else None, self.pair_network, "segmenter"]
        return [name for name in used if name]

    @property
    def scored_artifacts(self) -> list[str]:
        """What this study makes and scores, in the order of the road."""
        skipped = {"classifier": not self.uses_classifier, "confident": not self.uses_confident}
        road = ("classifier", "cams", "confident", "affinities", "random_walk", "segmentation")
        return [artifact for artifact in road if not skipped.get(artifact)]

    def scored_up_to(self, artifact: str) -> list[str]:
        """What this study scores on the road up to an artifact, itself included."""
        scored = self.scored_artifacts
        return scored[: scored.index(artifact) + 1]

    @field_validator("recipe")
    @classmethod
    def _known(cls, recipe: str | None) -> str | None:
        if recipe is not None:
            recipe_settings(recipe)
        return recipe

    @field_validator("refined_splits")
    @classmethod
    def _with_train(cls, splits: tuple[str, ...]) -> tuple[str, ...]:
        if "train" not in splits or len(set(splits)) < len(splits):
            raise ValueError("allowed [train] or [train, val]")
        return tuple(sorted(splits))

    @field_validator("cams")
    @classmethod
    def _of_the_classifier(cls, cams: Cams, info: ValidationInfo) -> Cams:
        classifier = info.data.get("classifier")
        if classifier and cams.kind == "classifier" and cams.weights == "refit" and not classifier.refit:
            raise ValueError("`weights: refit` needs `classifier.refit` above 0, which trains these weights")
        return cams

    @field_validator("affinitynet", "segmenter")
    @classmethod
    def _on_the_same_backbone(cls, network: Network, info: ValidationInfo) -> Network:
        _require_its_backbone(network, info.data.get("classifier"))
        return network

    @field_validator("affinitynet")
    @classmethod
    def _on_the_cells_of_the_labels(cls, network: AffinityNet, info: ValidationInfo) -> AffinityNet:
        _require_its_cells(network, info.data.get("confident"))
        return network

    @field_validator("affinities")
    @classmethod
    def _fits_its_network(cls, affinities: Affinities, info: ValidationInfo) -> Affinities:
        """Section irnet is left alone in a study that does not train it."""
        irnet: IRNet | None = info.data.get("irnet")
        if affinities.kind == "irn" and irnet:
            try:
                _require_its_backbone(irnet, info.data.get("classifier"))
                _require_its_cells(irnet, info.data.get("confident"))
            except ValueError as error:
                raise ValueError(f"kind irn trains the network of section irnet: {error}") from None
        return affinities


def _require_its_backbone(network: Network, classifier: Classifier | None) -> None:
    if classifier and network.weights == "classifier" and network.backbone != classifier.backbone:
        raise ValueError(
            f"`weights: classifier` needs the classifier's backbone `{classifier.backbone}`, "
            f"not `{network.backbone}`"
        )


def _require_its_cells(network: PairNetwork, confident: Confident | None) -> None:
    scale = network.input_scale
    if confident and confident.pooling == "scores" and scale != 1:
        raise ValueError(
            f"`confident.pooling: scores` labels cells of 8 pixels of the image, so allowed is "
            f"input_scale 1, not {scale if scale == AUTO else format(scale, 'g')}"
        )


def load_study(config: Mapping[str, Any]) -> Study:
    """The study of a configuration: laid over its recipe, and that over the defaults, see `merged`.

    Raises:
        ConfigError: Listing every problem: key path, what was given, what is allowed.
    """
    return _validated(_over_recipe({}, config), {})


def _over_recipe(base: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a configuration over the recipe that it names, and that over a base."""
    recipe = config.get("recipe", base.get("recipe"))
    settings = recipe_settings(recipe) if recipe in recipe_names() else {}  # validation refuses any other
    return merged(merged(base, settings), config)


def read_study(*files: Path | str, overrides: Mapping[str, Any] | None = None) -> Study:
    """The study of YAML files, each laid over those before it, see `merged`, and of `overrides` over all.

    The settings of a recipe, whichever file names it, are laid over files with the name `config.yaml`, and
    below all others: the order is `config.yaml`, recipe, study.

    Raises:
        ConfigError: If a file is no YAML mapping, or a result such as `best.yaml` that is damaged, or as for
            `load_study`, with file and line.
        OSError: If a file cannot be read.
    """
    try:
        require_whole(*files)
    except DamagedError as error:
        raise ConfigError(str(error)) from None
    base: dict[str, Any] = {}
    config: dict[str, Any] = {}
    places: dict[str, str] = {}
    for file in map(Path, files):
        content, lines = read_yaml(file)
        if file.name == BASE:
            base = merged(base, content)
        else:
            config = merged(config, content)
        places |= {key: f"{near(file)}:{line}" for key, line in lines.items()}
    places |= dict.fromkeys(_key_paths(overrides or {}), "")
    return _validated(_over_recipe(base, merged(config, overrides or {})), places)


def _validated(config: Mapping[str, Any], places: Mapping[str, str]) -> Study:
    """The study of a configuration, whose keys were read at `places`, or an error with these."""
    try:
        return Study.model_validate(merged(_defaults(), config))
    except ValidationError as error:
        found = [f"{_place(problem, places)}{problem}" for problem in problems(error, Study)]
    raise ConfigError("\n  ".join(["invalid configuration:", *found]))


def _place(problem: str, places: Mapping[str, str]) -> str:
    """Where the key of a problem was read, or the section that lacks it; nothing for one of no file."""
    key = problem.partition(": ")[0]
    while key and key not in places:
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return f"{places[key]}: " if places.get(key) else ""


def _key_paths(config: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for key, value in config.items():
        here = f"{path}.{key}".lstrip(".")
        yield here
        if isinstance(value, Mapping):
            yield from _key_paths(value, here)


@cache
def _defaults() -> dict[str, Any]:
    """The default study as plain values."""
    return Study().model_dump()


def merged(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a configuration over another: mappings are merged, everything else is replaced.

    A mapping of another `kind` replaces the one below it: the keys of one kind mean nothing to another.
    """
    both = {key for key in base if isinstance(base[key], dict) and isinstance(overlay.get(key), dict)}
    mixed = {key for key in both if overlay[key].get("kind", base[key].get("kind")) == base[key].get("kind")}
    return {**base, **overlay, **{key: merged(base[key], overlay[key]) for key in mixed}}
