"""Finds code that nothing uses: vulture as pyproject.toml configures it, and two things that it cannot know.

An attribute that is a DICOM keyword is an element that is set in order to be sent. A name with an underscore must be
used in its own file: vulture alone takes the same name in any other file for a use.
"""

import sys
from pathlib import Path

from pydicom.datadict import tag_for_keyword
from vulture.config import make_config
from vulture.core import Item, Vulture


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
    reports = sorted({item.get_report() for item in found})
    print("\n".join(reports) or "no dead code")
    return 1 if reports else 0


if __name__ == "__main__":
    sys.exit(main())
