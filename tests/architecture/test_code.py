"""Habits that ruff does not know: broad excepts name their boundary, and loose mappings stay few."""

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.architecture.sources import ROOMS, ROOT, files, nodes, place

BROAD = {"Exception", "BaseException"}
MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping"}
LOOSE = {"Any", "object"}
MOST_LOOSE_MAPPINGS = 68


def named(node: ast.AST | None) -> str:
    """The last part of a name: `Any` for `Any` and for `typing.Any`."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def broad_catches(path: Path) -> Iterator[ast.AST]:
    """Bare excepts, excepts of everything, and `suppress` of everything."""
    for node in nodes(path):
        if isinstance(node, ast.ExceptHandler):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if node.type is None or BROAD & {named(kind) for kind in caught}:
                yield node
        elif isinstance(node, ast.Call) and named(node.func) == "suppress" and BROAD & {named(k) for k in node.args}:
            yield node


def says_which_boundary(lines: list[str], number: int) -> bool:
    """Whether the line, or a comment line above it, says the word."""
    above = lines[number - 2].strip() if number > 1 else ""
    comments = lines[number - 1].partition("#")[2] + (above if above.startswith("#") else "")
    return "boundary" in comments


def test_every_broad_except_says_which_boundary_it_is():
    silent = []
    for path in files(".py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        silent += [f"{place(path)}:{n.lineno}" for n in broad_catches(path) if not says_which_boundary(lines, n.lineno)]
    assert silent == []


def is_loose(node: ast.AST) -> bool:
    """`dict[str, Any]` and its like: a mapping of anything, also as a string inside of `cast`."""
    if not (isinstance(node, ast.Subscript) and named(node.value) in MAPPINGS):
        return False
    values = node.slice.elts[-1:] if isinstance(node.slice, ast.Tuple) else []
    return any(named(value) in LOOSE for value in values)


def spelled(path: Path) -> Iterator[ast.AST]:
    """The nodes of a module, and what the strings spell that `cast` takes."""
    for node in nodes(path):
        yield node
        if isinstance(node, ast.Call) and named(node.func) == "cast" and isinstance(node.args[0], ast.Constant):
            yield from ast.walk(ast.parse(str(node.args[0].value), mode="eval"))


@cache
def aliases(path: Path) -> set[str]:
    """Names that a module gives to loose mappings, and such names that it imports."""
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and is_loose(node.value):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {named(target) for target in targets}
        elif isinstance(node, ast.ImportFrom) and node.module:
            source = (ROOT / node.module.replace(".", "/")).with_suffix(".py")
            if node.module.split(".")[0] in ROOMS and source.exists():
                found |= aliases(source) & {name.name for name in node.names}
    return found


def loose_mappings() -> dict[str, int]:
    """How many loose mappings each module spells: written out, in casts, and by the name of an alias."""
    counts: Counter[str] = Counter()
    for path in files(".py", tops=ROOMS):
        names = aliases(path)
        for part in spelled(path):
            is_alias = isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load) and part.id in names
            counts[place(path)] += is_alias or is_loose(part)
    return {name: count for name, count in counts.most_common() if count}


def test_loose_mappings_stay_few():
    """A document is a model, a record is a dataclass: `dict[str, Any]` is for what really may hold anything."""
    counts = loose_mappings()
    assert sum(counts.values()) <= MOST_LOOSE_MAPPINGS, counts
