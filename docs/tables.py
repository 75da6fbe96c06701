"""Write the tables of the documents out of the code, so that they cannot drift: `python docs/tables.py [--check]`.

A document marks a place with `<!-- table: NAME -->` and `<!-- end -->`; what is between them belongs to this script.
`--check` writes nothing: it names what differs and ends with 1. tests/architecture/test_docs.py asks the same question.
The JSON Schemas in docs/schemas are those of docs/schemas.py, and are written and checked with the tables.
"""

from __future__ import annotations

import re
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCHEMAS = ROOT / "docs" / "schemas"
sys.path.append(str(ROOT / "docs"))  # the writers are scripts of this folder, not part of what is installed

from writers import dicom, house, measured, reference  # noqa: E402

from api.demo.readme_block import readme_blocks  # noqa: E402

DOCUMENTS = sorted(
    str(path.relative_to(ROOT))
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("datasets/*.md")]
    if "<!-- table: " in path.read_text(encoding="utf-8")
)
COMPUTED = ("demo", "demo-report")  # by a network: the last digits differ from one processor to another
TOLERANCE = 0.002
_MARK = re.compile(r"(<!-- table: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_NUMBER = re.compile(r"-?\d+\.\d+")


def tables() -> dict[str, str]:
    """Every table as Markdown, by name."""
    writers = dicom.tables() | house.tables() | measured.tables() | reference.tables()
    return {name: write() for name, write in writers.items()} | readme_blocks()


def filled(text: str, found: dict[str, str]) -> str:
    """The text of a document with its tables as they should be; KeyError for a table that has no writer."""
    return _MARK.sub(lambda match: match[1] + _right(match[2], match[3], found) + match[4], text)


def schemas() -> dict[str, str]:
    """The text of each JSON Schema by file name; {} until there is a docs/schemas.py."""
    script = ROOT / "docs" / "schemas.py"
    found = runpy.run_path(str(script))["schemas"]() if script.exists() else {}
    return {name if name.endswith(".json") else f"{name}.json": text for name, text in found.items()}


def differences(found: dict[str, str], found_schemas: dict[str, str]) -> list[str]:
    """One line for each table and each schema that is not what the code says."""
    return [*_tables_that_differ(found), *_schemas_that_differ(found_schemas)]


def main(arguments: list[str]) -> int:
    """Rewrite the tables and schemas, or with `--check` say which differ."""
    if arguments not in ([], ["--check"]):
        print("usage: python docs/tables.py [--check]", file=sys.stderr)  # noqa: T201
        return 2
    found = tables()
    if not arguments:
        _write(found)
        return 0
    wrong = differences(found, schemas())
    print("\n".join([*wrong, "run: python docs/tables.py"] if wrong else ["every table is what the code says"]))  # noqa: T201
    return 1 if wrong else 0


def _right(name: str, before: str, found: dict[str, str]) -> str:
    """What belongs at the mark `name`: a computed table stays as it is while only last digits differ."""
    return before if name in COMPUTED and is_close(before, found[name]) else found[name]


def is_close(before: str, after: str) -> bool:
    """Whether two texts differ in nothing but numbers, and in those by no more than rounding on another processor."""
    if _NUMBER.sub("#", before) != _NUMBER.sub("#", after):
        return False
    pairs = zip(map(float, _NUMBER.findall(before)), map(float, _NUMBER.findall(after)), strict=True)
    return all(abs(one - other) <= TOLERANCE * max(1.0, abs(one)) for one, other in pairs)


def _tables_that_differ(found: dict[str, str]) -> Iterator[str]:
    for document in DOCUMENTS:
        for _, name, before, _ in _MARK.findall((ROOT / document).read_text(encoding="utf-8")):
            if _right(name, before, found) != before:
                yield f"{document}: the table {name} is not what the code says"


def _schemas_that_differ(wanted: dict[str, str]) -> Iterator[str]:
    kept = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*.json")}
    for name in sorted(wanted.keys() | kept.keys()):
        if wanted.get(name) != kept.get(name):
            yield f"docs/schemas/{name}: the schema is not what the code says"


def _write(found: dict[str, str]) -> None:
    for document in DOCUMENTS:
        path = ROOT / document
        path.write_text(filled(path.read_text(encoding="utf-8"), found), encoding="utf-8")
    wanted = schemas()
    for path in SCHEMAS.glob("*.json"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        SCHEMAS.mkdir(exist_ok=True)
        (SCHEMAS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
