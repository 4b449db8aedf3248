"""The first points of a sweep with the dense CRF, against the masks of the study; their overlay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from wsss.data import ImageRow, Manifest, read_mask
from wsss.method.labels import class_values
from wsss.method.metrics import confusion_matrix, mean_iou
from wsss.report.figures import sweep_table
from wsss.results import AffinityGrid, write_affinities, write_cams, write_confident
from wsss.stages.inference.refinement import image_refinement
from wsss.stages.random_walk import propagate_image
from wsss.stages.sweep.finalists import FINALISTS, Shard, finish_points, finish_sweep, overlay
from wsss.stages.sweep.finish import cam_mask, open_results
from wsss.stages.sweep.points import Grid, Point
from wsss.study.config import RandomWalk, load_study, read_study
from wsss.study.params import FinishSweep

ROOT = Path(__file__).resolve().parents[2]
CRF = load_study({"dense_crf": {"gaussian": [3, 3], "bilateral": [12, 20, 4]}}).dense_crf
WALK = RandomWalk(tolerance=1e-6)
CLASSES = ("ant", "bee", "cat")
SCENES = (("a", (24, 32), (0, 2)), ("b", (17, 40), (1, 2)), ("c", (30, 25), (0,)))


def row(folder: Path, name: str, size: tuple[int, int], labels: tuple[int, ...]) -> ImageRow:
    """An image with a true mask, both drawn by chance but smooth."""
    generator = torch.Generator().manual_seed(ord(name))
    maps = interpolate(torch.rand(1, len(labels) + 1, 3, 4, generator=generator), size, mode="bicubic")[0]
    mask = np.array([0, *class_values(labels)], np.uint8)[maps.argmax(0).numpy()]
    colours = (80 * mask[..., None] + np.arange(3)).astype(np.uint8)
    Image.fromarray(colours).save(folder / f"{name}.png")
    Image.fromarray(mask).save(folder / f"{name}_mask.png")
    paths = folder / f"{name}.png", folder / f"{name}_mask.png"
    return ImageRow(name, *paths, "train", True, labels, *size, "")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(CLASSES, tuple(row(tmp_path, *scene) for scene in SCENES))


@pytest.fixture
def shards(tmp_path: Path, manifest: Manifest) -> Iterator[list[Shard]]:
    """Two shards of files, of two images and of one."""
    names: dict[str, list[str]] = {"images": [], "cams": [], "affinities": [], "labels": []}
    for shard, rows in (("00", manifest.rows[:2]), ("01", manifest.rows[2:])):
        paths = {name: str(tmp_path / f"{name}_{shard}") for name in names}
        cams, stencils, labels = [], [], []
        for known in rows:
            generator = torch.Generator().manual_seed(ord(known.id) + 1)
            size = known.height, known.width
            coarse = torch.rand(1, len(known.labels), 4, 5, generator=generator)
            scores = interpolate(coarse, size, mode="bicubic")[0].clamp(0, 1).half().numpy()
            cams.append((known.id, scores, class_values(known.labels)))
            cells = [-(-side // 8) for side in size]
            stencils.append((known.id, torch.rand(34, *cells, generator=generator).half().numpy()))
            labels.append((known.id, np.zeros(size, np.uint8)))
        Manifest(CLASSES, rows).without_masks().write(Path(paths["images"]))
        write_cams(Path(paths["cams"]), cams)
        write_affinities(Path(paths["affinities"]), stencils, AffinityGrid(5, 1.0, "full"))
        write_confident(Path(paths["labels"]), labels, pooling="vote")
        for name, path in paths.items():
            names[name].append(path)
    with open_results(**names) as opened:
        yield opened


def points(count: int = 7) -> list[dict[str, Any]]:
    """The first points of a ranking, whose mIoU says nothing of the finished masks."""
    grid = Grid((1.0, 4.0), (0.3, 0.6), 4.0, (1, 16), 1e-6, ("none", "class"))
    found = [point.columns for _, point in grid.points()][:count]
    return [
        {"rank": place, "miou": 0.9 - 0.01 * place, "label_free": 0.1, "agreement": 0.5, "changed": 0.1}
        | {"vanished": 0.0, "alignment": 0.2}
        | columns
        for place, columns in enumerate(found, 1)
    ]


def ranking(criterion: str = "miou") -> dict[str, Any]:
    return {"criterion": criterion, "images": 3, "points": points(), "correlation": None, "protocol": "so"}


def miou(manifest: Manifest, shards: list[Shard], point: Point | None, first: Point) -> float:
    """What the finished masks of all images score: of a point, or of the CAMs over the background of one."""
    confusion = torch.zeros(4, 4, dtype=torch.int64)
    for images, results in shards:
        for name in (known.id for known in images):
            known = next(candidate for candidate in manifest.rows if candidate.id == name)
            scores, values = results.cams[name]
            refine, cams = image_refinement(known, CRF), torch.from_numpy(scores)
            if point is None:
                mask = cam_mask(cams, values, first.walk(WALK), refine)
            else:
                stencil, walk = torch.from_numpy(results.affinities[name]), point.walk(WALK)
                mask = propagate_image(stencil, cams, values, input_scale=1.0, walk=walk, refine=refine)
            assert known.mask is not None
            confusion += confusion_matrix(torch.from_numpy(mask), torch.from_numpy(read_mask(known.mask)), 4)
    return float(mean_iou(confusion))


def test_points_score_what_the_finished_masks_of_the_study_would(
    manifest: Manifest, shards: list[Shard]
) -> None:
    found = finish_points(
        points(4), "miou", manifest, shards, walk=WALK, dense_crf=CRF, limit=10, per_shard=None, threads=2
    )
    tried = [Point.of(point) for point in points(4)]
    assert [Point.of(point) for point in found.points] == tried
    assert [point["swept"] for point in found.points] == [point["miou"] for point in points(4)]
    expected = [miou(manifest, shards, point, tried[0]) for point in tried]
    assert [point["finished"] for point in found.points] == pytest.approx(expected, abs=1e-12)
    assert len(set(expected)) > 1, "points that differ"
    assert found.alone == pytest.approx(miou(manifest, shards, None, tried[0]), abs=1e-12)
    assert found.best["finished"] == max(expected)


@pytest.mark.parametrize(
    ("limit", "per_shard", "images"), [(9, None, 3), (2, None, 2), (1, None, 2), (9, 1, 2), (9, 5, 3)]
)
def test_each_shard_gives_its_share_of_the_images(
    manifest: Manifest, shards: list[Shard], limit: int, per_shard: int | None, images: int
) -> None:
    found = finish_points(
        points(1),
        "miou",
        manifest,
        shards,
        walk=WALK,
        dense_crf=None,
        limit=limit,
        per_shard=per_shard,
    )
    assert found.images == images


def params(refine: str = "dense_crf") -> FinishSweep:
    study = load_study({"random_walk": {"refine": refine, "tolerance": 1e-6}})
    return FinishSweep.of(study.model_copy(update={"dense_crf": CRF}))


def test_the_best_point_is_the_best_after_the_dense_crf(manifest: Manifest, shards: list[Shard]) -> None:
    found = finish_sweep(ranking(), manifest, shards, params())
    assert [Point.of(point) for point in found["finalists"]] == [
        Point.of(point) for point in points(FINALISTS)
    ]
    best = max(found["finalists"], key=lambda point: float(point["finished"]))
    assert found["section"] == Point.of(best).section
    assert found["score"] == best["finished"]
    assert (found["images"], found["points"], found["dense_crf"]) == (3, 7, True)
    assert best is not found["finalists"][0], "another point than without the dense CRF"
    text = overlay(found)
    assert (
        f"The best of 7 points of `snakemake sweep`: mIoU {100 * best['finished']:.1f} % on 3 images" in text
    )
    assert "Scored with the dense CRF, given to the first 5 points" in text
    page = sweep_table(ranking(), found)
    assert page.index("The first points with the dense CRF") < page.index("The best 7 points")
    assert f"The CAMs have {100 * found['score_of_cams']:.1f} with it" in page


@pytest.mark.parametrize(("refine", "criterion"), [("none", "miou"), ("dense_crf", "label_free")])
def test_without_a_dense_crf_or_masks_nothing_is_finished(
    manifest: Manifest, refine: str, criterion: str
) -> None:
    """No shard is read, and the first point of the ranking stays the best."""
    found = finish_sweep(ranking(criterion), manifest, [], params(refine))
    assert found["finalists"] == []
    assert found["score_of_cams"] is None
    assert found["section"] == Point.of(points()[0]).section
    assert found["score"] == points()[0][criterion]
    assert "Scored without the dense CRF" in overlay(found)
    assert ("mIoU 89.0 %" in overlay(found)) == (criterion == "miou")
    assert "with the dense CRF" not in sweep_table(ranking(criterion), found)


@pytest.mark.parametrize("study", ["config.yaml", "studies/voc-animals.yaml"])
@pytest.mark.parametrize("place", [0, -1])
def test_the_overlay_makes_a_point_the_studys(
    tmp_path: Path, manifest: Manifest, study: str, place: int
) -> None:
    given = ranking() | {"points": [points()[place]]}
    file = tmp_path / "best.yaml"
    file.write_text(overlay(finish_sweep(given, manifest, [], params("none"))))
    before, after = read_study(ROOT / study), read_study(ROOT / study, file)
    walk = Point.of(points()[place])
    expected = {name: getattr(walk, name) for name in ("background", "beta", "t", "normalize")}
    assert after.random_walk == before.random_walk.model_copy(update=expected)
    assert after.model_copy(update={"random_walk": before.random_walk}) == before


def test_the_overlay_is_written_in_blocks(manifest: Manifest) -> None:
    assert overlay(finish_sweep(ranking(), manifest, [], params("none"))).splitlines()[3:] == [
        "random_walk:",
        "  background:",
        "    kind: power",
        "    alpha: 1.0",
        "  beta: 4.0",
        "  t: 1",
        "  normalize: none",
    ]
