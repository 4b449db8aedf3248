"""Draws the pictures of the documentation: `python -m docs.figures results/shapes`, or `make figures`.

The study is finished and has true masks. `sweep.png` needs `snakemake sweep` as well, and is kept as it is
without.
`report.png` needs Chromium.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from docs.figures.origin import note, origin, processor
from docs.figures.steps import read_road, step_figures
from wsss.data import Manifest
from wsss.report.exhibits import best_and_worst, exhibits_of, shown_of_train
from wsss.report.figures import plot_gallery, plot_sweep, write_figure
from wsss.results import read_json, replacing, write_text

PICTURES = Path(__file__).resolve().parents[1] / "pictures"

WINDOW = (1000, 760)
"""Pixels of the picture of the report."""

LOADED = """() => [...document.querySelectorAll("#images img")]
    .filter(image => image.getBoundingClientRect().top < innerHeight).every(image => image.complete)"""
"""Whether the pictures on the screen are there."""

BROWSERS = ("chromium", "google-chrome", "chromium-browser")


def draw_road(results: Path, path: Path, said: str) -> None:
    """Draw two images in the middle of the ranking, from photograph to truth."""
    manifest = Manifest.read(results / "dataset" / "manifest.tsv")
    with shown_of_train(lambda name: _files(results, name), manifest) as shown:
        ranking = sorted(shown.confusions["pseudo mask"], key=lambda image: image.image)
        best, _ = best_and_worst(manifest, "train", ranking, len(ranking), "pseudo masks")
        middle = [row for row in best.rows if len(row.labels) == 2][-2:]
        chosen = best._replace(rows=tuple(middle))
        exhibits = exhibits_of(chosen, *shown)
    title = "From image-level labels to masks"
    write_figure(
        path, plot_gallery(exhibits, best.value_names, title, f"two drawn scenes of the middle; {said}")
    )


def _files(results: Path, name: str) -> list[str] | str:
    tables = {"masks_table": "random_walk", "predictions_table": "segmentation"}
    if name in tables:
        return str(results / "scores" / f"{tables[name]}.tsv")
    folders = {"cams": "cams/train/*.npz", "labels": "confident/*.h5", "masks": "random_walk/train/*.h5"}
    folders["predictions"] = "segmentation/train/*.h5"
    return [str(path) for path in sorted(results.glob(folders[name]))] if name in folders else []


def photograph_page(page: Path, path: Path, browser: str) -> None:
    """Write what a browser shows of the images of a report."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, replacing(path) as temporary:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        seen = chromium.new_page(viewport={"width": WINDOW[0], "height": WINDOW[1]})
        seen.goto(page.resolve().as_uri())
        seen.evaluate("document.querySelector('#images').scrollIntoView({behavior: 'instant'})")
        seen.wait_for_function(LOADED)
        temporary.write_bytes(seen.screenshot())
        chromium.close()


def draw(results: Path, pictures: Path, machine: str) -> list[Path]:
    """Draw all pictures that the results have something for, each with its origin in it.

    Args:
        results: `results/<study>` of a finished study with true masks.
        pictures: the folder of the pictures.
        machine: where the study was run.

    Returns:
        The pictures that were written.
    """
    said = origin(results / "segmenter" / "checkpoint.pt.json", machine)
    pictures.mkdir(parents=True, exist_ok=True)
    drawn = [pictures / "road.png"]
    draw_road(results, drawn[0], said)
    for name, figure in step_figures(read_road(results)).items():
        drawn.append(pictures / f"step_{name}.png")
        write_figure(drawn[-1], figure)
    swept = said
    if (points := results / "sweep" / "points.json").is_file():
        drawn.append(pictures / "sweep.png")
        write_figure(drawn[-1], plot_sweep(read_json(points)))
        swept = origin(points.with_name(f"{points.name}.json"), machine)
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser and (page := results / "report" / "index.html").is_file():
        drawn.append(pictures / "report.png")
        photograph_page(page, drawn[-1], browser)
    for path in drawn:
        made = swept if path.name == "sweep.png" else said
        note(path, f"study {results.name}: {made}; drawn by make figures")
    caption = f"*The pictures are of one run of the default study: {said}. `make figures` draws them.*\n"
    write_text(pictures / "origin.md", caption)
    return drawn


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(prog="python -m docs.figures", description=__doc__)
    parser.add_argument("results", type=Path, help="results of the finished default study, results/shapes")
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="folder to write to")
    parser.add_argument(
        "--machine", default=processor(), help="the processor on which the study was run; this one"
    )
    arguments = parser.parse_args()
    for path in draw(arguments.results, arguments.pictures, arguments.machine):
        print(path)


if __name__ == "__main__":
    main()
