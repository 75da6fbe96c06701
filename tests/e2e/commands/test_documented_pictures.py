"""The summaries in docs/pictures are those that the demo's opacity gets today; one that drifted is noticed."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[3]
PICTURES = ROOT / "docs" / "pictures"
Change = Callable[[Picture.Image], Picture.Image]


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "pictures.py"))


def jpeg(picture: Picture.Image, quality: int = 95) -> bytes:
    file = BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def reworded(picture: Picture.Image) -> Picture.Image:
    """ "Pleural effusion" in the table becomes another word."""
    changed = picture.copy()
    draw = ImageDraw.Draw(changed)
    draw.rectangle((10, 690, 300, 718), fill=(0, 0, 0))
    draw.text((12, 692), "Hemothorax, left", font=ImageFont.load_default(size=22), fill=(255, 255, 255))
    return changed


def without_outline(picture: Picture.Image) -> Picture.Image:
    changed = picture.copy()
    changed.paste((130, 130, 130), (200, 60, 400, 420))
    return changed


@pytest.mark.timeout(600)
def test_the_documented_summaries_are_what_the_code_makes(script: dict[str, Any]) -> None:
    assert script["differences"](script["pictures"]()) == []


@pytest.mark.parametrize("change", [reworded, without_outline, lambda picture: picture.resize((512, 690))])
def test_a_picture_that_drifted_is_noticed(script: dict[str, Any], change: Change) -> None:
    committed = Picture.open(PICTURES / "summary-512.jpg")
    assert script["is_close"](jpeg(committed), jpeg(committed, 80)), "JPEG alone is no difference"
    assert not script["is_close"](jpeg(committed), jpeg(change(committed)))


def test_every_picture_is_small_and_shown_in_a_document() -> None:
    documents = "".join(path.read_text(encoding="utf-8") for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
    for picture in PICTURES.iterdir():
        assert picture.stat().st_size < 300_000
        assert f"pictures/{picture.name}" in documents
