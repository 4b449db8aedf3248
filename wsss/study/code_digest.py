"""Which code a result depends on: a script and the modules of this package that it imports.

`code_digest` stands in the `params` of every rule, so that Snakemake sees edits of the package.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
"""Folder that holds the package."""

PACKAGE = __name__.partition(".")[0]

WORKFLOW = ROOT if (ROOT / "Snakefile").is_file() else ROOT / PACKAGE / "workflow"
"""Folder of the Snakefile, rules and scripts: the clone around the package, or their copy in a wheel."""

# Scripts import these modules and packages, but nothing in them changes a result, so their edits rerun
# nothing. The configuration reaches a job as `params`, which Snakemake compares itself.
WITHOUT_INFLUENCE = frozenset(
    {
        "wsss.public",
        "wsss.study.config",
        "wsss.study.integrity",
        "wsss.study.options",
        "wsss.study.params",
        "wsss.study.provenance",
        "wsss.study.registry",
        "wsss.study.temporary",
        "wsss.study.verification",
        "wsss.study.words",
        "wsss.runtime.console",
        "wsss.runtime.disk",
        "wsss.runtime.locks",
    }
)


def code_digest(script: Path | str, loaded: Iterable[str] = (), root: Path = ROOT) -> dict[str, str]:
    """Digests of a script and of each module of the package that it imports, directly or not, by name.

    They are digests of the syntax trees without docstrings: comments, formatting and the version of Python do
    not matter. A module that names files beside it, `READS = "templates/*"`, has their content in its digest.
    Imports count wherever they stand, but for those under `if TYPE_CHECKING:`. A package whose `__init__`
    only re-exports is looked through: `from wsss.models import build_classifier` leads to the module that
    defines it, and not to the other networks.

    Args:
        script: Path of the script, absolute or relative to `root`.
        loaded: Modules that it loads by name, see `wsss.study.modules`; what they import counts too.
        root: Folder that holds the package.

    Raises:
        FileNotFoundError: If there is no such script.
        ValueError: If a module of the package that is imported does not exist.
    """
    start = _read(root / script, "")
    found = {name: _module(name, root) for name in loaded}
    pending = [start, *found.values()]
    while pending:
        for name in _imported(pending.pop(), root):
            if name not in found and WITHOUT_INFLUENCE.isdisjoint([name, *_parents(name)]):
                found[name] = _module(name, root)
                pending.append(found[name])
    return {Path(script).name: start.digest} | {name: found[name].digest for name in sorted(found)}


@dataclass(frozen=True)
class _Import:
    """`import module`, or `from module import name as bound`; `name` may be `*`."""

    module: str
    name: str | None
    bound: str


@dataclass(frozen=True)
class _Source:
    """What matters of one file; a facade is an `__init__` that does nothing but import names."""

    code: str
    imports: tuple[_Import, ...]
    is_facade: bool
    read: tuple[Path, ...]

    @property
    def digest(self) -> str:
        """Digest of the code and of the files that it reads."""
        contents = (path.read_bytes() for path in self.read)
        return reduce(lambda code, content: _digest(code.encode() + content), contents, self.code)


def _imported(source: _Source, root: Path) -> set[str]:
    """The modules of the package whose code an import of `source` needs."""
    names = {name for item in source.imports for name in _origins(item.module, item.name, root)}
    packages = {package for name in names for package in _parents(name)}
    return names | {package for package in packages if not _module(package, root).is_facade}


def _origins(module: str, name: str | None, root: Path) -> set[str]:
    """The modules that define what is imported."""
    if name and _file(f"{module}.{name}", root):
        module, name = f"{module}.{name}", None
    source = _module(module, root)
    if not source.is_facade:
        return {module}
    exported = [item for item in source.imports if name in (None, "*", item.bound)]
    return {origin for item in exported for origin in _origins(item.module, item.name, root)}


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _file(module: str, root: Path) -> Path | None:
    base = root.joinpath(*module.split("."))
    return next((path for path in (base / "__init__.py", Path(f"{base}.py")) if path.is_file()), None)


def _module(name: str, root: Path) -> _Source:
    path = _file(name, root)
    if path is None:
        raise ValueError(f"{name} is imported, but there is no such module in {root}")
    return _read(path, name)


def _read(path: Path, module: str) -> _Source:
    stat = path.stat()
    return _parsed(path, module, stat.st_mtime_ns, stat.st_size)


@cache
def _parsed(path: Path, module: str, _mtime: int, _size: int) -> _Source:
    """Parse a file once per process and version of the file; Snakemake asks for every rule."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    is_package = path.name == "__init__.py"
    package = module if is_package else module.rpartition(".")[0]
    imports = tuple(item for node in _executed(tree) for item in _imports(node, package))
    read = tuple(file for pattern in _patterns(tree) for file in sorted(path.parent.glob(pattern)))
    code = _digest(_canonical(tree).encode())
    return _Source(code, imports, is_package and all(map(_only_names, tree.body)), read)


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _patterns(tree: ast.Module) -> list[str]:
    """The files that a module says it reads."""
    values = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    return [str(ast.literal_eval(values["READS"]))] if "READS" in values else []


_TYPE_CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below `node` but those that only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) in _TYPE_CHECKING:
            child = ast.Module(child.orelse, [])
        yield child
        yield from _executed(child)


def _imports(node: ast.AST, package: str) -> list[_Import]:
    """The imports from this package that a statement makes; `package` is what relative imports start from."""
    if isinstance(node, ast.Import):
        found = [_Import(alias.name, None, alias.asname or alias.name) for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = package.split(".")[: 1 - node.level or None] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        found = [_Import(module, alias.name, alias.asname or alias.name) for alias in node.names]
    else:
        return []
    return [item for item in found if item.module.partition(".")[0] == PACKAGE]


def _only_names(statement: ast.stmt) -> bool:
    """Whether a statement is an import, a docstring, `__all__`, `__version__`, or for type checkers."""
    if isinstance(statement, ast.If):
        return ast.unparse(statement.test) in _TYPE_CHECKING and not statement.orelse
    if isinstance(statement, ast.Assign):
        return {ast.unparse(target) for target in statement.targets} <= {"__all__", "__version__"}
    is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return is_text or isinstance(statement, (ast.Import, ast.ImportFrom))


_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def _canonical(node: Any) -> str:
    """Text of a syntax tree without docstrings.

    It is the same in every Python: empty fields are left out, as newer ones have more of them, and so are the
    empty texts that some 3.12 see in f-strings. (`ast.unparse` quotes f-strings in different ways.)
    """
    if isinstance(node, list):
        return f"[{','.join(map(_canonical, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = node.body[1:]
    if isinstance(node, ast.JoinedStr):
        fields["values"] = [value for value in node.values if getattr(value, "value", None) != ""]
    inner = ",".join(f"{name}={_canonical(value)}" for name, value in fields.items())
    return f"{type(node).__name__}({inner})"
