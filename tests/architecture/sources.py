"""The files that the checks of this folder read."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "models", "dicom_node", "inference", "explain", "fairness", "ehr", "pipeline", "api", "datasets")


def files(*endings: str, tops: tuple[str, ...] = (*ROOMS, "tests", "docs")) -> list[Path]:
    """Files of ours below the folders `tops` with one of the endings, sorted; shipped model packages are left out."""
    zoo = ROOT / "models" / "zoo"
    found = (path for top in tops for path in (ROOT / top).rglob("*") if path.suffix in endings)
    return sorted(path for path in found if zoo not in path.parents)


def place(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """Every node of a module's syntax tree."""
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
