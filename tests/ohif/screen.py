"""OHIF in a browser with a study behind it, looked at by the pixels of its viewport."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from tests.browser.looking import CHROMIUM
from tests.e2e.orthanc import BINARY, DICOMWEB, running_orthanc
from tests.ohif.fetch import PAGE
from tests.ohif.serving import serving

if TYPE_CHECKING:
    from playwright.sync_api import Page

WITHIN_SECONDS = 90.0
VIEWPORT = (slice(200, 880), slice(300, 1230))
"""Rows and columns of the screen right of the list of series, below the tools."""
ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",  # the viewer draws with WebGL; this is its software
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
]
Pixels = NDArray[np.int64]


def missing_tools() -> str:
    """What the viewer needs and is not here, with where it comes from; "" when all is here."""
    needed = (
        (PAGE, "python -m tests.ohif.fetch, which needs npm"),
        (BINARY, "Debian: orthanc"),
        (DICOMWEB, "Debian: orthanc-dicomweb"),
        (CHROMIUM, "Debian: chromium"),
    )
    return "; ".join(f"{path.name} is not here ({whose})" for path, whose in needed if not path.exists())


@contextmanager
def study_in_the_viewer(files: Iterable[bytes], study_uid: str, folder: Path) -> Iterator[str]:
    """The address of OHIF with a study of these Part 10 files, kept by an Orthanc in `folder`."""
    with running_orthanc(folder, candor_port=1, plugins=(DICOMWEB,)) as pacs:
        for data in files:
            pacs.post("/instances", data)
        with serving(PAGE.parent, f"http://127.0.0.1:{pacs.http_port}/dicom-web") as address:
            yield f"{address}/viewer?StudyInstanceUIDs={study_uid}"


class Screen:
    """The viewer in a browser, and what it complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def shot(self) -> Picture.Image:
        """The whole screen."""
        return Picture.open(io.BytesIO(self.page.screenshot())).convert("RGB")

    def pixels(self) -> Pixels:
        """The viewport."""
        return np.asarray(self.shot(), np.int64)[VIEWPORT]

    def wait(self, until: Callable[[Pixels], bool], what: str) -> Pixels:
        """The viewport as soon as `until` holds; AssertionError with `what` when it never does."""
        end = time.monotonic() + WITHIN_SECONDS
        while not until(pixels := self.pixels()):
            assert time.monotonic() < end, f"{what} is not on the screen: {self.page.inner_text('body')[:500]!r}"
            time.sleep(0.5)
        return pixels

    def open_series(self, name: str) -> None:
        """Open a series by the list on the left."""
        self.page.get_by_text(name).first.dblclick()

    def open_image(self) -> None:
        """Open the first series that has a small picture in the list."""
        self.page.locator('[data-cy="study-browser-thumbnail"]').first.dblclick()


@contextmanager
def opened(viewer: str) -> Iterator[Screen]:
    """The viewer at an address, without the tour that greets a newcomer and dims the rest."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        shown = Screen(browser.new_context(viewport={"width": 1280, "height": 900}).new_page())
        shown.page.goto(viewer)
        tour = shown.page.get_by_text("Skip all").first
        tour.wait_for(timeout=WITHIN_SECONDS * 1000)
        tour.click()
        yield shown
        browser.close()
