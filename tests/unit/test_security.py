"""What SECURITY.md promises, of the code as it is written, of pages, pipes and archives."""

from __future__ import annotations

import ast
import io
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from wsss.data import ImageRow, Manifest, read_image, read_mask
from wsss.data.archives import unpack
from wsss.data.coco_annotations import read_annotations as read_coco
from wsss.data.decoding import stored_size
from wsss.data.exchange.cvat import read_cvat
from wsss.data.exchange.labelme import read_labelme
from wsss.data.images import palette_of, read_colours, read_values
from wsss.data.layouts.json_files import load_json
from wsss.data.problems import Problems
from wsss.data.text import read_text
from wsss.data.voc12_annotations import parse_annotation
from wsss.models.weights.reading import read_state
from wsss.report.figures import quality_table, score_table, write_page
from wsss.report.health import health_notice
from wsss.report.tables import write_tables
from wsss.report.tables.results import Result
from wsss.results import RankedImage
from wsss.results.quality import SIGNALS
from wsss.stages.bundle.card import markdown_text
from wsss.stages.exchange import class_list
from wsss.stages.foreign.files import read_grey_png, read_npy, read_npz, read_pickled_npy
from wsss.study.config import read_study

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path for folder in ("wsss", "workflow_scripts", "benchmarks") for path in (ROOT / folder).rglob("*.py")
)

# The code


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Yield every call of a module with the name that it is called by, such as `torch.load`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keywords(call: ast.Call) -> dict[str | None, str]:
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}


def safe(path: Path, name: str, call: ast.Call) -> bool:
    """Whether a call is one that cannot run what is in a file or a name."""
    given = keywords(call)
    forbidden = {
        *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "marshal.loads", "shelve.open"),
        *(
            "yaml.load",
            "yaml.load_all",
            "yaml.full_load",
            "yaml.unsafe_load",
            "yaml.Loader",
            "yaml.UnsafeLoader",
        ),
        *("pickle.load", "pickle.Unpickler", "joblib.load", "subprocess.getoutput", "torch.hub.load"),
        *("ET.parse", "ET.fromstring", "ET.XML", "ET.iterparse", "shutil.unpack_archive", "tempfile.mktemp"),
    }
    rules: dict[str, Callable[[], bool]] = {
        "torch.load": lambda: given.get("weights_only") == "True",
        "np.load": lambda: given.get("allow_pickle", "False") == "False",
        "Image.open": lambda: "formats" in given,
        "pickle.loads": lambda: ast.unparse(call.args[0]).startswith("pickle.dumps("),
        "fromstring": lambda: "from defusedxml.ElementTree import fromstring" in path.read_text("utf-8"),
    }
    if given.get("shell", "False") != "False" or given.get("allow_pickle", "False") != "False":
        return False
    if name.endswith((".extractall", ".extract")):
        return path.name == "archives.py"
    return name not in forbidden and rules.get(name, lambda: True)()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_call_runs_what_a_file_holds(path: Path) -> None:
    unsafe = [
        f"line {call.lineno}: {ast.unparse(call)}" for name, call in calls(path) if not safe(path, name, call)
    ]
    assert not unsafe


@pytest.mark.parametrize(
    "line",
    [
        "yaml.load(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "Image.open(path)",
        "subprocess.run(line, shell=True)",
        "archive.extractall(folder)",
        "pickle.loads(data)",
        "eval(text)",
    ],
)
def test_the_check_of_the_code_sees_what_is_unsafe(tmp_path: Path, line: str) -> None:
    (tmp_path / "module.py").write_text(line)
    ((name, call),) = calls(tmp_path / "module.py")
    assert not safe(tmp_path / "module.py", name, call)


def test_no_rule_hands_data_to_a_shell() -> None:
    rules = [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    assert not [path.name for path in rules if re.search(r"^\s*(shell|run):", path.read_text(), re.MULTILINE)]


# Pages

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "'-alert(1)-'",
    "<!-- ]]> &lt;b&gt; <code>",
)


class Structure(HTMLParser):
    """Elements and the names of their attributes, and what is written between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.elements.append((f"/{tag}",))

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment",))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def scores(name: str, **more: Any) -> dict[str, Any]:
    iou = {"background": 0.9, name: 0.5}
    counted = {"scored_images": 3, "split": "train", "protocol": name, "value_names": list(iou)}
    return {**counted, "miou": 0.7, "iou": iou, **more}


def pages(folder: Path, name: str) -> dict[str, str]:
    """Every page of the report, with a name for each class, image, study, file and sentence."""
    quality = {
        f"{area}_{figure}": 0.5 for area in ("background", "foreground") for figure in ("share", "precision")
    }
    metrics = {
        "classifier": {"protocol": name, "scored_images": 2, "split": "val", "map": 0.5}
        | {"average_precision": {name: 0.5}},
        "cams": scores(name, constants={"0.1": 0.25}, alphas={"2": 0.4}),
        "confident": scores(name, **quality),
        "affinities": {"protocol": name, "scored_images": 3, "beta": 8.0, "equal": 0.1, "different": 0.01}
        | {"ceiling": scores(name)},
        "random_walk": scores(name),
        "segmentation": scores(name, split="val"),
    }
    finding = {
        "severity": "alarm",
        "title": name,
        "figure": name,
        "meaning": name,
        "help": [f"{name} `{name}`"],
    }
    health = {"findings": [finding, finding], "silent": []}
    signals = dict.fromkeys(SIGNALS, 0.5)
    ranked = [RankedImage(1, name, (name,), 0.5, signals)]
    counted = {"scored_images": 0, "protocol": name}
    result = Result(name, "val", 3, 0.7, {"background": 0.9, name: 0.5}, name, name, name, name, name)
    data = (
        ROOT / "wsss/report/tables/published_results.tsv",
        ROOT / "wsss/report/tables/published_stages.tsv",
    )
    write_page(folder / "scores.html", name, health_notice(health), score_table(metrics))
    write_page(folder / "quality.html", name, quality_table(ranked, counted))
    write_tables(folder, name, (result,), data, [], health_notice(health))
    return {path.name: path.read_text("utf-8") for path in folder.glob("*.html")}


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_in_every_page(tmp_path: Path, name: str) -> None:
    """The elements of a page are the same whatever classes, images and studies are called."""
    (tmp_path / "plain").mkdir()
    (tmp_path / "hostile").mkdir()
    plain, hostile = pages(tmp_path / "plain", "cat"), pages(tmp_path / "hostile", name)
    assert plain.keys() == hostile.keys() == {"scores.html", "quality.html", "results.html"}
    for page, text in hostile.items():
        found = Structure(text)
        assert found.elements == Structure(plain[page]).elements, page
        assert name.strip() in "".join(found.words), page


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text_in_model_cards(name: str) -> None:
    assert not Structure(markdown_text(name)).elements


def test_all_html_comes_from_templates_that_escape() -> None:
    """`Markup` says that a text is HTML already: only what is written in the code may be."""
    made = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in SOURCES
        for name, call in calls(path)
        if name == "Markup" and not isinstance(call.args[0], ast.Constant) and path.name != "rendering.py"
    ]
    assert not made
    assert not [
        path.name for path in (ROOT / "wsss").rglob("*.j2") if re.search(r"\|\s*safe\b", path.read_text())
    ]


# Pipes, devices and links to them


def problems_of(read: Callable[[Path, Problems], object]) -> Callable[[Path], object]:
    """Raise what a reader collects."""

    def raising(path: Path) -> object:
        problems = Problems()
        read(path, problems)
        problems.raise_any("data set")
        return None

    return raising


PHOTOGRAPH = ImageRow("a", Path("a.jpg"), None, "train", False, (), 8, 8, "")

READERS: dict[str, Callable[[Path], object]] = {
    "photograph": read_image,
    "photograph of a table": lambda path: ImageRow(
        "a", path, None, "train", False, (), 8, 8, ""
    ).photograph(),
    "mask": read_mask,
    "mask values": read_values,
    "mask colours": read_colours,
    "palette": palette_of,
    "text": problems_of(read_text),
    "COCO": problems_of(read_coco),
    "JSON": problems_of(load_json),
    "VOC XML": parse_annotation,
    "labelme": lambda path: read_labelme(path, (8, 8), ["cat"]),
    "CVAT": lambda path: list(read_cvat(path, {}, ["cat"])),
    "class list": class_list,
    "configuration": read_study,
    "table": Manifest.read,
    "weights": read_state,
    "npy": lambda path: read_npy(path, 64),
    "npz": lambda path: read_npz(path, 64),
    "pickled npy": lambda path: read_pickled_npy(path, 64),
    "map": lambda path: read_grey_png(path, 64),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("place", ["pipe", "link to a pipe", "device"])
def test_pipes_and_devices_are_not_opened(
    tmp_path: Path, reader: Callable[[Path], object], place: str
) -> None:
    """Opening a pipe would wait for a writer for ever, and a device such as /dev/zero has no end."""
    path = tmp_path / "named.pth"
    os.mkfifo(tmp_path / "pipe")
    path.symlink_to("/dev/zero" if place == "device" else tmp_path / "pipe")
    if place == "pipe":
        path.unlink()
        os.mkfifo(path)
    with pytest.raises(ValueError, match=r"named\.pth: (a device, pipe or socket|.*no such file)"):
        reader(path)


def test_the_size_of_a_pipe_is_not_looked_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "mask.png")
    assert stored_size(tmp_path / "mask.png") is None


# Archives


def packed(path: Path, **members: Any) -> Path:
    """Write a tar archive: content by name, or a `TarInfo` of something else."""
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.name = name
            member.mode = 0o6777
            data = content if isinstance(content, bytes) else b""
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def link(kind: bytes, target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo()
    member.type, member.linkname = kind, target
    return member


@pytest.mark.parametrize("name", ["/tmp/out", "../out", "a/../../out", "a\\..\\out"])
def test_an_archive_whose_names_lead_out_of_it_is_refused_before_a_file_is_written(
    tmp_path: Path, name: str
) -> None:
    archive = packed(tmp_path / "a.tgz", **{"first": b"1", name: b"2"})
    with pytest.raises(ValueError, match=r"a\.tgz: .* leads out of the folder"):
        unpack(archive, tmp_path / "here")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tgz"]


def test_links_and_devices_of_an_archive_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    archive = packed(
        tmp_path / "a.tgz",
        out=link(tarfile.SYMTYPE, str(tmp_path)),
        **{
            "out/written": b"x",
            "hard": link(tarfile.LNKTYPE, "../secret"),
            "fifo": link(tarfile.FIFOTYPE, ""),
        },
    )
    unpack(archive, tmp_path / "here")
    found = {path.relative_to(tmp_path / "here").as_posix() for path in (tmp_path / "here").rglob("*")}
    assert found == {"out", "out/written"}
    assert not (tmp_path / "written").exists()
    assert (tmp_path / "here" / "out" / "written").stat().st_mode & 0o7777 == 0o755
