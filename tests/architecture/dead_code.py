"""Finds code that nothing uses: vulture as pyproject.toml configures it, and three things that it cannot know.

An attribute that is a DICOM keyword is an element that is set in order to be sent. A field of a document (a class with
the base core.documents.model.Document) is a key of a file that is written. A name with an underscore must be used in
its own file: vulture alone takes the same name in any other file for a use.
"""

import ast
import sys
from pathlib import Path

from pydicom.datadict import tag_for_keyword
from vulture.config import make_config
from vulture.core import Item, Vulture


def document_keys(paths: list[str]) -> set[tuple[str, int]]:
    """File and line of each field of a document."""
    classes = [
        (str(file), node)
        for path in paths
        for file in sorted(Path(path).rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    documents, before = {"Document"}, 0
    while len(documents) > before:
        before = len(documents)
        documents |= {node.name for _, node in classes if documents & {ast.unparse(base) for base in node.bases}}
    return {
        (str(Path(file).resolve()), field.lineno)
        for file, node in classes
        if node.name in documents
        for field in node.body
        if isinstance(field, ast.AnnAssign)
    }


def unused(files: list[str], names: list[str], decorators: list[str]) -> list[Item]:
    """What vulture finds in these files, DICOM elements left out."""
    scan = Vulture(ignore_names=names, ignore_decorators=decorators)
    scan.scavenge(files)
    found = scan.get_unused_code(min_confidence=60)
    return [item for item in found if item.typ != "attribute" or tag_for_keyword(item.name) is None]


def main() -> int:
    config = make_config([])
    names, decorators = config["ignore_names"], config["ignore_decorators"]
    found = unused(config["paths"], names, decorators)
    for file in (str(file) for path in config["paths"] for file in sorted(Path(path).rglob("*.py"))):
        alone = (item for item in unused([file], names, decorators) if item.typ != "attribute")
        found += [item for item in alone if item.name.startswith("_")]
    keys = document_keys(config["paths"])
    found = [item for item in found if (str(Path(item.filename).resolve()), item.first_lineno) not in keys]
    reports = sorted({item.get_report() for item in found})
    print("\n".join(reports) or "no dead code")
    return 1 if reports else 0


if __name__ == "__main__":
    sys.exit(main())
