"""The pictures of OHIF in docs/pictures: written with `python -m tests.ohif.pictures`, compared by test_pictures.py.

The study is the demo's opacity with what `candor analyze` makes of it, opened in the viewer as a reader would.
"""

from __future__ import annotations

import io
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image as Picture

from datasets.demo.studies import FOLDER
from tests.e2e.house import environment
from tests.ohif.screen import VIEWPORT, Pixels, Screen, missing_tools, opened, study_in_the_viewer

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
Mask = NDArray[np.bool_]


def orange(pixels: Pixels) -> Mask:
    """Where a segmentation is drawn."""
    return np.asarray((pixels[..., 0] - pixels[..., 2] > 25) & (pixels[..., 1] - pixels[..., 2] > 5))


def green(pixels: Pixels) -> Mask:
    """Where the region of a report is drawn, and its figures."""
    return np.asarray((pixels[..., 1] > 180) & (pixels[..., 0] < 120) & (pixels[..., 2] < 120))


DRAWN: dict[str, tuple[str, Callable[[Pixels], Mask]]] = {
    "ohif-region.jpg": ("AI region (not verified)", orange),
    "ohif-report.jpg": ("AI report (not verified)", green),
}
"""Of each picture the series that is opened, and the colour that the viewer draws it in."""


def pictures(folder: Path) -> dict[str, bytes]:
    """Each picture as JPEG by its file name; `folder`: for the results and the PACS."""
    files = [(FOLDER / "opacity.dcm").read_bytes(), *results(folder / "results")]
    uid = pydicom.dcmread(FOLDER / "opacity.dcm", stop_before_pixels=True).StudyInstanceUID
    jpeg_of = runpy.run_path(str(ROOT / "docs" / "pictures.py"))["jpeg_of"]
    with study_in_the_viewer(files, uid, folder / "pacs") as address:
        return {name: jpeg_of(_shot(address, *what)) for name, what in DRAWN.items()}


def results(folder: Path) -> list[bytes]:
    """What Candor makes of the demo's opacity."""
    command = [sys.executable, "-m", "api", "analyze", str(FOLDER / "opacity.dcm"), "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment(), check=True, capture_output=True)
    return [file.read_bytes() for file in sorted(folder.rglob("*.dcm"))]


def drawn_in(name: str, jpeg: bytes) -> Mask:
    """Which pixels of the viewport a picture has in the colour of its overlay."""
    shown = np.asarray(Picture.open(io.BytesIO(jpeg)).convert("RGB"), np.int64)[VIEWPORT]
    return DRAWN[name][1](shown)


def _shot(address: str, series: str, colour: Callable[[Pixels], Mask]) -> Picture.Image:
    with opened(address) as screen:
        screen.wait(lambda pixels: pixels.mean() > 30, "the radiograph")
        screen.open_series(series)
        screen.wait(lambda pixels: colour(pixels).sum() > 300, series)
        _load(screen)
        return screen.shot()


def _load(screen: Screen) -> None:
    """Say yes where the viewer asks whether a segmentation is to be opened, and let it come to rest."""
    question = screen.page.get_by_text("Yes", exact=True)
    if question.count():
        question.first.click()
    screen.page.wait_for_timeout(5000)


if __name__ == "__main__":
    if missing := missing_tools():
        raise SystemExit(missing)
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="candor-ohif-") as place:
        for file, data in pictures(Path(place)).items():
            (PICTURES / file).write_bytes(data)
