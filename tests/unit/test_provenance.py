from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest

from wsss.study.code_digest import WITHOUT_INFLUENCE
from wsss.study.config import Study
from wsss.study.modules import loaded_modules
from wsss.study.provenance import (
    ArtifactManifest,
    code_digest,
    file_digest,
    file_digests,
    sealed,
    stale,
    unsealed,
)

ROOT = Path(__file__).resolve().parents[2]

Write = Callable[[dict[str, str]], None]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write files, by path, into a folder with a package that is called wsss."""

    def write(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    write({"wsss/__init__.py": '"""Doc."""\n\n__version__ = "1"\n'})
    return write


# Which modules belong to a script


@pytest.mark.parametrize(
    "script",
    [
        "from wsss.a import f",
        "from wsss import a",
        "import wsss.a",
        "import wsss.a as b",
        "from wsss.a import *",
        "def f():\n    from wsss.a import f",
        "try:\n    import wsss.a\nexcept ImportError:\n    pass",
        "if True:\n    pass\nelse:\n    import wsss.a",
    ],
)
def test_every_way_to_import_counts(script: str, write: Write, tmp_path: Path):
    write({"s.py": script, "wsss/a.py": "import os, wsss.b", "wsss/b.py": "import wsss.a", "wsss/c.py": ""})
    assert list(code_digest("s.py", root=tmp_path)) == ["s.py", "wsss.a", "wsss.b"]


@pytest.mark.parametrize(
    "statement",
    [
        "from . import c",
        "from .c import f",
        "from .. import top",
        "from ..top import f",
        "from .n.d import f",
    ],
)
def test_relative_imports(statement: str, write: Write, tmp_path: Path):
    write({"s.py": "from wsss.p.a import f", "wsss/p/__init__.py": "", "wsss/p/a.py": statement})
    write({"wsss/p/c.py": "", "wsss/top.py": "", "wsss/p/n/__init__.py": "", "wsss/p/n/d.py": ""})
    expected = "wsss.top" if "top" in statement else "wsss.p.n.d" if "n.d" in statement else "wsss.p.c"
    assert list(code_digest("s.py", root=tmp_path)) == ["s.py", "wsss.p.a", expected]


def test_imports_for_type_checkers_do_not_count(write: Write, tmp_path: Path):
    script = """
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from wsss.a import A
else:
    from wsss.b import A
if not TYPE_CHECKING:
    import wsss.c
"""
    write({"s.py": script, "wsss/a.py": "", "wsss/b.py": "", "wsss/c.py": ""})
    assert list(code_digest("s.py", root=tmp_path)) == ["s.py", "wsss.b", "wsss.c"]


FACADE = '''
"""Networks."""
from __future__ import annotations
from wsss.nets.one import build_one
from .two import build as build_two
__all__ = ["build_one", "build_two"]
'''


@pytest.mark.parametrize(
    ("script", "modules"),
    [
        ("from wsss.nets import build_one", ["wsss.nets.one"]),
        ("from wsss.nets import build_two", ["wsss.nets.two"]),
        ("from wsss.nets.two import build", ["wsss.nets.two"]),
        ("from wsss.nets import two", ["wsss.nets.two"]),
        ("from wsss import nets", ["wsss.nets.one", "wsss.nets.two"]),
        ("from wsss.nets import *", ["wsss.nets.one", "wsss.nets.two"]),
        ("from wsss import __version__", []),
    ],
)
def test_packages_that_only_re_export_are_looked_through(
    script: str, modules: list[str], write: Write, tmp_path: Path
):
    write({"s.py": script, "wsss/nets/__init__.py": FACADE, "wsss/nets/one.py": "", "wsss/nets/two.py": ""})
    assert list(code_digest("s.py", root=tmp_path)) == ["s.py", *modules]


@pytest.mark.parametrize("script", ["from wsss.nets import build_one", "import wsss.nets.one"])
def test_packages_that_do_more_count_with_all_they_import(script: str, write: Write, tmp_path: Path):
    write({"s.py": script, "wsss/nets/__init__.py": FACADE + "build_one.fast = True"})
    write({"wsss/nets/one.py": "", "wsss/nets/two.py": ""})
    assert list(code_digest("s.py", root=tmp_path)) == ["s.py", "wsss.nets", "wsss.nets.one", "wsss.nets.two"]


def test_modules_without_influence_exist_and_do_not_count(write: Write, tmp_path: Path):
    write(
        {
            "s.py": "import wsss.study.provenance, wsss.a",
            "wsss/study/provenance.py": "import wsss.b",
            "wsss/study/__init__.py": "",
            "wsss/a.py": "",
        }
    )
    assert list(code_digest("s.py", root=tmp_path)) == ["s.py", "wsss.a"]
    for name in WITHOUT_INFLUENCE:
        path = ROOT / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), f"{name} is gone: take it off the list"


def test_files_that_a_module_reads_count_as_its_code(write: Write, tmp_path: Path):
    write({"s.py": "import wsss.one", "wsss/one.py": 'READS = "pages/*.j2"', "wsss/pages/a.j2": "a"})
    before = code_digest("s.py", root=tmp_path)
    write({"wsss/pages/a.j2": "b"})
    after = code_digest("s.py", root=tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"wsss.one"}
    assert "READS" in (ROOT / "wsss" / "report" / "rendering.py").read_text("utf-8")


FOREIGN = {
    "train_classifier": (
        "segmenter",
        "affinity",
        "heads",
        "random_walk",
        "dense_crf",
        "caffe",
        "mxnet",
        "resnet38",
    ),
    "compute_cams": (
        "segmenter",
        "affinity",
        "heads",
        "random_walk",
        "dense_crf",
        "training",
        "formats",
        "vgg16",
    ),
    "train_affinitynet": ("segmenter", "heads", "random_walk", "dense_crf", "caffe", "timm"),
    "train_segmenter": ("affinity", "random_walk", "dense_crf", "heads.largefov", "heads.smp", "mxnet"),
    "random_walk": ("models", "training", "segmentation"),
    "prepare_dataset": ("models", "coco", "voc12", "training"),
}
"""By rule: words of the modules that have nothing to do with it in the default study."""


@pytest.mark.parametrize("rule", FOREIGN)
def test_a_rule_depends_on_what_its_study_selects(rule: str):
    digest = code_digest(f"workflow_scripts/{rule}.py", loaded_modules(Study(), rule))
    modules = set(digest) - {f"{rule}.py"}
    assert {name for name in modules if any(word in name for word in FOREIGN[rule])} == set()
    assert set(loaded_modules(Study(), rule)) <= modules


def test_modules_that_are_loaded_by_name_count_with_their_imports(write: Write, tmp_path: Path):
    write({"s.py": "", "wsss/one.py": "import wsss.two", "wsss/two.py": "", "wsss/three.py": ""})
    assert list(code_digest("s.py", ["wsss.one"], root=tmp_path)) == ["s.py", "wsss.one", "wsss.two"]


def test_missing_script_and_missing_module(write: Write, tmp_path: Path):
    write({"s.py": "from wsss.gone import f"})
    with pytest.raises(ValueError, match=r"wsss\.gone is imported, but there is no such module"):
        code_digest("s.py", root=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.py"):
        code_digest("nowhere.py", root=tmp_path)


# What changes a digest

CODE = '''"""Module."""
class A:
    """Class."""
    x: int = 1
    async def f(self, a, b=2):
        """Function."""
        return f"{a!r:>{b}} 'x'" + 'y'
'''
SAME = """
# A comment

class A:
    "Another docstring"

    x: int = (1)

    async def f(
        self, a,
        b=2,
    ):
        return f"{a!r:>{b}} 'x'" + "y"  # another
"""


def digest_of_module(text: str, write: Write, tmp_path: Path) -> str:
    write({"s.py": "import wsss.a", "wsss/a.py": text})
    return code_digest("s.py", root=tmp_path)["wsss.a"]


def test_comments_docstrings_and_formatting_do_not_matter(write: Write, tmp_path: Path):
    digests = [digest_of_module(text, write, tmp_path) for text in (CODE, SAME)]
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    ("old", "new"),
    [("1", "2"), ("b=2", "b=2.0"), ("!r", "!s"), ("self, a", "self, c"), ("'y'", "b'y'"), ("+", "*")],
)
def test_code_matters(old: str, new: str, write: Write, tmp_path: Path):
    changed = CODE.replace(old, new)
    assert changed != CODE
    assert digest_of_module(changed, write, tmp_path) != digest_of_module(CODE, write, tmp_path)


def test_text_that_is_no_docstring_matters(write: Write, tmp_path: Path):
    bodies = ("return 'a'", "return 'b'", "1\n    'a'", "1\n    'b'")
    texts = [f"def f():\n    {body}" for body in bodies]
    assert len({digest_of_module(text, write, tmp_path) for text in texts}) == 4


def test_digest_is_the_same_in_every_python(write: Write, tmp_path: Path):
    # Computed with Python 3.11, 3.12 and 3.13, between which `ast.dump` and `ast.unparse` differ.
    assert digest_of_module(CODE, write, tmp_path) == "b1452b220bf5aed7"


def test_only_the_edited_module_changes(write: Write, tmp_path: Path):
    write({"s.py": "import wsss.a", "wsss/a.py": "import wsss.b", "wsss/b.py": "x = 1"})
    before = code_digest("s.py", root=tmp_path)
    write({"wsss/b.py": "x = 22"})
    after = code_digest("s.py", root=tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"wsss.b"}


# Manifests


def manifest(**changes: Any) -> ArtifactManifest:
    values: dict[str, Any] = {
        "artifact": "00.h5",
        "rule": "random_walk",
        "config": {"random_walk": {"alpha": 16.0, "t": 256}},
        "code": {"s.py": "1", "wsss.a": "2"},
        "inputs": {"in.npz": "3"},
        "seed": None,
        "versions": {"torch": "2.11"},
        "device": "cpu",
        "seconds": 1.5,
        "peak_memory_mb": 100.0,
        "created": "2030-01-01T00:00:00+00:00",
    }
    return ArtifactManifest(**values | changes)


def test_manifest_survives_json():
    made = manifest()
    assert ArtifactManifest.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_file_digest_is_blake2b_of_128_bits(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert file_digest(tmp_path / "file") == blake2b(b"abc" * 100_000, digest_size=16).hexdigest()


def test_stale_names_what_differs():
    made = manifest()
    assert stale(made, made.config, made.code, made.inputs) == []
    assert stale(made, {"random_walk": {"alpha": 8.0, "t": 256}}, made.code, made.inputs) == [
        "config random_walk.alpha was 16.0, is 8.0"
    ]
    config, code = {"random_walk": {"alpha": 16.0, "beta": 8.0}}, {"s.py": "1", "wsss.a": "0"}
    assert stale(made, config, code, {}) == [
        "config random_walk.t is gone",
        "config random_walk.beta is new",
        "code wsss.a has changed",
        "input in.npz is gone",
    ]


def test_a_manifest_tells_that_it_was_changed():
    values = manifest(outputs={"00.h5": "4"}).to_json()
    assert ArtifactManifest.from_json(values).outputs == {"00.h5": "4"}
    for changed in (values | {"seed": 1}, values | {"digest": "0"}, unsealed(values)):
        with pytest.raises(ValueError, match="digest"):
            ArtifactManifest.from_json(changed)


def test_a_manifest_from_before_digests_were_kept_is_read():
    old = unsealed(manifest().to_json())
    del old["outputs"], old["threads"]
    assert ArtifactManifest.from_json(old) == manifest()


def test_sealed_values_come_back_and_changed_ones_do_not():
    values = {"a": [1.5, None], "ä": {"b": "é"}}
    again = json.loads(json.dumps(sealed(values)))
    assert unsealed(again) == values
    assert unsealed(values) == values
    with pytest.raises(ValueError, match="not what its digest says"):
        unsealed(again | {"a": [1.5]})


@pytest.mark.parametrize("workers", [1, 3])
def test_many_files_have_the_digests_of_each(tmp_path: Path, workers: int):
    paths = [tmp_path / f"{number}" for number in range(40)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes(number))
    assert file_digests(paths, workers) == {str(path): file_digest(path) for path in paths}
