"""Tables of the house itself: its folders, who imports whom, and which libraries are used where."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from writers.markdown import table

ROOT = Path(__file__).resolve().parents[2]


def tables() -> dict[str, Callable[[], str]]:
    """What writes each table, by the table's name."""
    return {"imports": _imports, "libraries": _libraries, "folders": _folders}


def _imports() -> str:
    """Each room: what it holds, what the contracts let it import, and what it imports today."""
    rows = [
        (f"`{room}/`", _first_line(ROOT / room), _listed(sorted(_allowed(room))), _listed(sorted(_imported(room))))
        for room in _rooms()
    ]
    return table(("room", "what it holds", "may import", "imports today"), rows)


def _libraries() -> str:
    """The libraries that contracts keep out of most rooms, and the folders that import them today."""
    rows = [
        (", ".join(libraries), _listed(sorted(_folders_that_import(libraries)))) for libraries in _guarded_libraries()
    ]
    return table(("libraries", "imported in"), rows)


def _folders() -> str:
    """Every folder of the house with its files."""
    rows = [
        (f"`{folder.relative_to(ROOT)}/`", _first_line(folder), ", ".join(_names_in(folder)))
        for room in _rooms()
        for folder in _packages(ROOT / room)
    ]
    return table(("folder", "what it holds", "files"), rows)


@cache
def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@cache
def _rooms() -> tuple[str, ...]:
    return tuple(_pyproject()["tool"]["importlinter"]["root_packages"])


def _guarded_libraries() -> Iterator[list[str]]:
    for kind, key in (("forbidden", "forbidden_modules"), ("protected", "protected_modules")):
        for contract in _contracts(kind):
            libraries = [name for name in contract[key] if name.partition(".")[0] not in _rooms()]
            if libraries:
                yield libraries


def _contracts(kind: str) -> Iterator[dict[str, Any]]:
    return (found for found in _pyproject()["tool"]["importlinter"]["contracts"] if found["type"] == kind)


def _allowed(room: str) -> set[str]:
    """The rooms that no contract forbids: those of the layers below, less what is forbidden by name."""
    layers = next([_layer(layer) for layer in found["layers"]] for found in _contracts("layers") if _is_of_rooms(found))
    place = next(number for number, layer in enumerate(layers) if room in layer)
    below = {other for layer in layers[place + 1 :] for other in layer}
    return below - {
        name
        for found in _contracts("forbidden")
        if room in found["source_modules"]
        for name in found["forbidden_modules"]
    }


def _layer(layer: str) -> list[str]:
    return [name.strip(" ()") for name in layer.replace(":", "|").split("|")]


def _is_of_rooms(contract: dict[str, Any]) -> bool:
    return "containers" not in contract and _layer(contract["layers"][-1]) == ["core"]


def _imported(room: str) -> set[str]:
    found = {name.partition(".")[0] for path in _modules(ROOT / room) for name in _imports_of(path)}
    return found & set(_rooms()) - {room}


def _folders_that_import(libraries: list[str]) -> set[str]:
    """Rooms, or folders of core, that import one of `libraries` themselves."""
    return {
        _place(path)
        for room in _rooms()
        for path in _modules(ROOT / room)
        if any(name == library or name.startswith(f"{library}.") for name in _imports_of(path) for library in libraries)
    }


def _place(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return "/".join(parts[:2]) if parts[0] == "core" else parts[0]


@cache
def _imports_of(path: Path) -> frozenset[str]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return frozenset(plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)})


def _modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def _packages(folder: Path) -> Iterator[Path]:
    """The folder and those below it, parents first."""
    return (path.parent for path in sorted(folder.rglob("__init__.py"), key=lambda path: path.parent.parts))


def _names_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("__"))


def _first_line(folder: Path) -> str:
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0].rstrip(".")


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"
