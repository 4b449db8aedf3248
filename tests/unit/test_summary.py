from __future__ import annotations

import os
from pathlib import Path

from wsss.report.summary import summary
from wsss.results import write_json
from wsss.study.invocation import Invocation
from wsss.study.provenance import file_digest


def metrics(miou: float, *, images: int = 3, split: str = "train") -> dict[str, object]:
    return {
        "scored_images": images,
        "split": split,
        "miou": miou,
        "value_names": ["background", "dog", "cat"],
        "iou": {"background": 0.9, "cat": miou, "dog": float("nan")},
    }


def test_table_holds_each_stage_in_percent(tmp_path: Path) -> None:
    write_json(tmp_path / "scores" / "cams.json", metrics(0.431))
    write_json(tmp_path / "scores" / "segmentation.json", metrics(0.512, images=2, split="val"))
    lines = [line.split() for line in summary(tmp_path).splitlines()]
    assert ["cat", "43.1", "51.2"] in lines
    assert ["dog", "-", "-"] in lines
    assert ["mean", "43.1", "51.2"] in lines
    assert ["scored", "on", "3", "train", "2", "val"] in lines


def test_classes_are_in_the_order_of_the_mask_values(tmp_path: Path) -> None:
    write_json(tmp_path / "scores" / "cams.json", metrics(0.431))
    lines = [line.split()[0] for line in summary(tmp_path).splitlines() if line]
    assert lines[1:5] == ["background", "dog", "cat", "mean"]


def test_without_masks_it_says_so(tmp_path: Path) -> None:
    write_json(tmp_path / "scores" / "cams.json", metrics(float("nan"), images=0))
    assert "no true masks, so no scores" in summary(tmp_path)


def test_classifier_has_a_line(tmp_path: Path) -> None:
    scores = {"map": 0.9512, "scored_images": 2, "split": "val"}
    write_json(tmp_path / "scores" / "classifier.json", scores)
    assert "classifier: mAP 95.1 on 2 val" in summary(tmp_path)


def test_a_sweep_says_its_best_points(tmp_path: Path) -> None:
    point = {
        "rank": 1,
        "background": "power",
        "alpha": 2.0,
        "beta": 8.0,
        "t": 16,
        "normalize": "class",
        "miou": 0.531,
    }
    write_json(
        tmp_path / "sweep" / "points.json", {"criterion": "miou", "images": 3, "points": [point, point]}
    )
    said = summary(tmp_path)
    assert "best of 2 points on 3 images" in said
    assert "miou 53.1  alpha 2, beta 8, t 16, normalize class" in said
    assert str(tmp_path / "sweep" / "best.yaml") in said
    assert "no true masks" not in said
    assert "have changed since" not in said


def test_a_sweep_of_what_has_changed_since_says_so(tmp_path: Path) -> None:
    points, affinities = tmp_path / "sweep" / "points.json", tmp_path / "affinities" / "train" / "00.h5"
    affinities.parent.mkdir(parents=True)
    affinities.touch()
    point = {
        "rank": 1,
        "background": "power",
        "alpha": 2,
        "beta": 8,
        "t": 1,
        "normalize": "class",
        "miou": 0.5,
    }
    write_json(points, {"criterion": "miou", "images": 3, "points": [point]})
    os.utime(points, ns=(0, affinities.stat().st_mtime_ns))
    assert "have changed since" not in summary(tmp_path)
    os.utime(points, ns=(0, affinities.stat().st_mtime_ns - 1))
    assert "have changed since" in summary(tmp_path)


def test_the_points_that_were_finished_follow_the_best_first(tmp_path: Path) -> None:
    point = {"background": "power", "alpha": 2, "beta": 8, "t": 1, "normalize": "class"}
    ranked = {"criterion": "miou", "images": 3, "points": [{"rank": 1, "miou": 0.5, **point}]}
    write_json(tmp_path / "sweep" / "points.json", ranked)
    points = [{**point, "t": t, "finished": score} for t, score in ((1, 0.51), (8, 0.53), (16, 0.52))]
    finished = {"criterion": "miou", "images": 2, "score_of_cams": 0.4, "finalists": points}
    write_json(tmp_path / "sweep" / "finished.json", finished)
    said = summary(tmp_path)
    assert "with the dense CRF, on 2 of these images; the CAMs alone have 40.0:" in said
    places = [said.index(text) for text in ("1.  miou 53.0", "2.  miou 52.0", "3.  miou 51.0")]
    assert places == sorted(places)
    write_json(tmp_path / "sweep" / "finished.json", finished | {"finalists": []})
    assert "with the dense CRF" not in summary(tmp_path)


def write_pages(folder: Path) -> None:
    page = folder / "report" / "scores.html"
    page.parent.mkdir(parents=True)
    page.touch()


def test_places(tmp_path: Path) -> None:
    index = tmp_path / "masks" / "segmentation" / "val" / "index.tsv"
    index.parent.mkdir(parents=True)
    index.touch()
    assert f"{index.parent}/" in summary(tmp_path)
    assert "report" not in summary(tmp_path), "of a run that ended before its pages"
    write_pages(tmp_path)
    assert f"report:  {tmp_path / 'report.html'}   (not written yet)" in summary(tmp_path)
    invocation = Invocation(("mine.yaml",))
    assert f"snakemake --report {tmp_path / 'report.html'} --configfile mine.yaml writes it)" in summary(
        tmp_path, invocation
    )
    (tmp_path / "report.html").touch()
    assert "snakemake --report" not in summary(tmp_path)
    assert f"report:  {tmp_path / 'report.html'}" in summary(tmp_path)


def test_the_list_of_masks_to_look_at_first_has_a_line(tmp_path: Path) -> None:
    table = tmp_path / "quality" / "images.tsv"
    assert "quality" not in summary(tmp_path)
    table.parent.mkdir()
    table.touch()
    line = f"quality: {table}   (pseudo masks, those to look at first on top)"
    assert line in summary(tmp_path).splitlines()
    write_json(tmp_path / "scores" / "quality.json", {"signals": {"score": {"spearman": 0.674}}})
    assert "on top; rank correlation with mIoU 0.67)" in summary(tmp_path)
    write_json(tmp_path / "scores" / "quality.json", {"signals": {"score": {"spearman": float("nan")}}})
    assert line in summary(tmp_path).splitlines()


# Alarms


COMMAND = "`snakemake sweep --cores 7 --config a=a/long/path/to/something b=another/long/path/to/something`"


def finding(name: str, severity: str = "alarm") -> dict[str, object]:
    return {
        "alarm": name,
        "severity": severity,
        "title": f"title of {name}",
        "figure": "10.5 of 40.7",
        "meaning": f"meaning of {name}",
        "help": [
            f"This command tries other values: {COMMAND} and says which is best.",
            "See `RESULTS/x.png`.",
        ],
    }


def write_health(
    folder: Path, *findings: dict[str, object], part: str = "dataset", study: str = "mine.yaml"
) -> Path:
    """Write the health of a part, checked on a file of its own."""
    checked = folder / f"input of {part}.json"
    checked.write_text(part)
    invocation = {"configfiles": [study], "config": [], "snakefile": None}
    file = folder / "health" / f"{part}.json"
    write_json(file, {"findings": findings, "silent": [{}] * 9, "invocation": invocation})
    write_json(f"{file}.json", {"inputs": {str(checked): file_digest(checked)}})
    return checked


def test_alarms_come_last_with_what_helps(tmp_path: Path) -> None:
    write_json(tmp_path / "scores" / "cams.json", metrics(0.431))
    write_pages(tmp_path)
    write_health(tmp_path, finding("one"), finding("two", "warning"))
    text = summary(tmp_path)
    scores, places, alarms = text.index("mean"), text.index("report:"), text.index("health:")
    assert scores < places < alarms
    assert "1 alarm and 1 warning in 11 checks" in text
    assert text.index("ALARM  title of one: 10.5 of 40.7") < text.index("WARNING  title of two")
    assert "meaning of two" in text
    assert f"See `{tmp_path}/x.png`." in text


def test_alarms_of_later_parts_come_before_warnings_of_earlier_ones(tmp_path: Path) -> None:
    write_health(tmp_path, finding("late"), part="random_walk")
    write_health(tmp_path, finding("early", "warning"), finding("first"), part="dataset")
    text = summary(tmp_path)
    places = [text.index(f"title of {name}") for name in ("first", "late", "early")]
    assert places == sorted(places)
    assert "2 alarms and 1 warning in 21 checks" in text


def test_a_part_that_was_checked_on_other_inputs_is_left_out(tmp_path: Path) -> None:
    write_health(tmp_path, finding("one"), part="dataset")
    checked = write_health(tmp_path, finding("two"), part="cams")
    later = checked.stat().st_mtime_ns + 10**12
    os.utime(checked, ns=(later, later))
    assert "title of two" in summary(tmp_path), "the same content, written again"
    checked.write_text("other")
    os.utime(checked, ns=(later, later))
    text = summary(tmp_path)
    assert "title of one" in text
    assert "title of two" not in text
    checked.unlink()
    assert "title of two" not in summary(tmp_path)


def test_the_file_that_is_named_holds_all_findings(tmp_path: Path) -> None:
    write_health(tmp_path, finding("one"))
    assert f"({tmp_path / 'health'})" in summary(tmp_path), "a run that ends with the masks gathers nothing"
    gathered = tmp_path / "health.json"
    write_json(gathered, {})
    assert f"({gathered})" in summary(tmp_path)
    os.utime(gathered, ns=(0, 0))
    assert f"({tmp_path / 'health'})" in summary(tmp_path), "of an earlier run"


def test_a_command_that_helps_is_on_one_line(tmp_path: Path) -> None:
    write_health(tmp_path, finding("one"))
    (line,) = [line for line in summary(tmp_path).splitlines() if "snakemake sweep" in line]
    assert line.strip().startswith("`")
    assert "--configfile mine.yaml`" in line


def test_only_the_first_alarms_are_explained(tmp_path: Path) -> None:
    write_health(tmp_path, *(finding(str(number)) for number in range(7)))
    text = summary(tmp_path)
    assert "what helps against the last 2 is there" in text
    assert text.count("title of") == 7
    assert text.count("meaning of") == 5


def test_one_alarm_that_is_not_explained_is_the_last_one(tmp_path: Path) -> None:
    write_health(tmp_path, *(finding(str(number)) for number in range(6)))
    assert "what helps against the last one is there" in summary(tmp_path)


def test_silence_is_said_as_well(tmp_path: Path) -> None:
    write_health(tmp_path)
    assert "nothing found in 9 checks" in summary(tmp_path)


def test_commands_are_those_of_the_study_as_it_was_run_last(tmp_path: Path) -> None:
    write_pages(tmp_path)
    write_health(tmp_path, study="mine.yaml", part="random_walk")
    earlier = tmp_path / "health" / "dataset.json"
    write_health(tmp_path, study="before.yaml", part="dataset")
    os.utime(earlier, ns=(0, 0))
    said = f"snakemake --report {tmp_path / 'report.html'} --configfile mine.yaml"
    assert said in summary(tmp_path)


def test_the_report_to_browse_is_named_once_it_is_there(tmp_path: Path) -> None:
    page = tmp_path / "report" / "index.html"
    assert str(page) not in summary(tmp_path)
    page.parent.mkdir()
    page.touch()
    assert f"images:  {page} " in summary(tmp_path)
