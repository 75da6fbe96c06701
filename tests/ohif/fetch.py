"""Fetch OHIF's published build, one version and exactly those bytes: `python -m tests.ohif.fetch`.

Only the build itself: it holds all that the viewer needs, so none of the packages it was made of are installed and no
install script runs. npm is the one tool needed; where it is missing, tests of OHIF are skipped and say so.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PINNED = json.loads((Path(__file__).with_name("package.json")).read_text(encoding="utf-8"))
PACKAGE, VERSION = next(iter(PINNED["dependencies"].items()))
BUILD = Path(__file__).parents[2] / "build" / f"ohif-{VERSION}"
"""Where it is kept; git ignores the folder."""
PAGE = BUILD / "index.html"


def fetch() -> None:
    """Fetch the build unless it is there; SystemExit with the reason when that is not possible."""
    if PAGE.exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("OHIF is not fetched: there is no npm (Debian: apt-get install npm)")
    BUILD.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD.parent) as folder:
        command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--pack-destination", folder, "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
        (archive,) = [*Path(folder).glob("*.tgz")] or [None]
        if archive is None:
            raise SystemExit(f"OHIF is not fetched: npm ended with {done.returncode}: {done.stderr[-500:]}")
        _unpack(archive, Path(folder))
        (Path(folder) / "package" / "dist").rename(BUILD)


def _unpack(archive: Path, folder: Path) -> None:
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != PINNED["integrity"]:
        raise SystemExit("OHIF is not fetched: its package is not the one that tests/ohif/package.json pins")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")


if __name__ == "__main__":
    fetch()
    sys.exit(0)
