"""Measure the house: `python docs/house_figures.py [COMMIT ...]`, the working tree or commits side by side.

Counted is what is installed: the rooms, without tests and documents. Lines of a file are all its lines; those of a
function are from `def` to its end.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path, PurePosixPath
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "docs"))  # as in tables.py

from writers.markdown import table  # noqa: E402

ROOMS = ("core", "models", "dicom_node", "inference", "explain", "fairness", "ehr", "pipeline", "api", "datasets")
_MAPPINGS = ("dict", "Mapping", "MutableMapping")
Sources = Mapping[str, str]


def figures(sources: Sources) -> dict[str, str]:
    """The measured row by row; `sources`: text of each module by its path."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    lines = [text.count("\n") for text in sources.values()]
    functions = [_length(node) for tree in trees.values() for node in ast.walk(tree) if _is_function(node)]
    folder, fullest = _fullest(sources)
    return {
        "files": str(len(sources)),
        "files per 1,000 lines": f"{1000 * len(sources) / sum(lines):.1f}",
        "folders": str(len({PurePosixPath(path).parent for path in sources})),
        "fullest folder (files besides its `__init__`)": f"{fullest} ({folder})",
        "lines": f"{sum(lines):,}",
        "file lines, median / p90 / max": _spread(lines),
        "function lines, median / p90 / max": _spread(functions),
        "`dict[str, Any]`": str(sum(text.count("dict[str, Any]") for text in sources.values())),
        "the same with `object` mappings, aliases and casts": str(sum(map(_open_mappings, trees.values()))),
        "public names defined in two modules or more": str(len(_defined_twice(trees))),
    }


def main(commits: Sequence[str]) -> None:
    """Print the figures as a Markdown table, a column for each commit."""
    columns = {commit: figures(_of_commit(commit)) for commit in commits} or {"working tree": figures(_of_tree())}
    rows = [(name, *(column[name] for column in columns.values())) for name in next(iter(columns.values()))]
    print(table(("", *columns), rows), end="")  # noqa: T201


def _of_tree() -> Sources:
    paths = (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")))
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in paths}


def _of_commit(commit: str) -> Sources:
    command = ["git", "archive", "--format=tar", commit, *ROOMS]
    packed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout  # noqa: S603
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        modules = [member for member in archive if member.isfile() and member.name.endswith(".py")]
        return {member.name: _text(archive, member) for member in modules}


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    return file.read().decode("utf-8") if file else ""


def _fullest(sources: Sources) -> tuple[str, int]:
    counted = Counter(str(PurePosixPath(path).parent) for path in sources if PurePosixPath(path).name != "__init__.py")
    return counted.most_common(1)[0]


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _length(node: ast.AST) -> int:
    return int(getattr(node, "end_lineno", 0)) - int(getattr(node, "lineno", 0)) + 1


def _spread(values: Sequence[int]) -> str:
    ordered = sorted(values)
    return f"{median(ordered):.0f} / {ordered[ceil(0.9 * len(ordered)) - 1]} / {ordered[-1]}"


def _open_mappings(tree: ast.Module) -> int:
    """Mappings from text to anything: written out, in a cast's string, or by an alias of this module."""
    direct = sum(map(_is_open, ast.walk(tree)))
    aliases = {name for node in tree.body for name in _aliases(node)}
    used = sum(isinstance(node, ast.Name) and node.id in aliases for node in ast.walk(tree))
    return direct + used - len(aliases)  # its definition is a name too


def _is_open(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "[str, Any]" in node.value:
        return True
    if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in _MAPPINGS):
        return False
    values = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    return len(values) == 2 and isinstance(values[1], ast.Name) and values[1].id in ("Any", "object")


def _aliases(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and _is_open(node.value):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _defined_twice(trees: Mapping[str, ast.Module]) -> list[str]:
    """Public functions and classes on the top level of more than one module; commands and mains included."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    names = [node.name for tree in trees.values() for node in tree.body if isinstance(node, kinds)]
    return sorted(name for name, count in Counter(names).items() if count > 1 and not name.startswith("_"))


if __name__ == "__main__":
    main(sys.argv[1:])
