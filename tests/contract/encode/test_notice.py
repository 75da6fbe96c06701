"""What is written on and below a picture beyond its regions: the notice, the verdicts, the figures; nothing twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from core.domain.report import ObjectKind
from core.domain.study import Image
from core.wording import probability
from dicom_node.encode import encode
from dicom_node.encode.picture.marks import marked
from dicom_node.encode.picture.summary import verdict_of
from dicom_node.encode.picture.words import conclusion
from tests.contract.encode.cases import IMAGE_UID, dx_source, report
from tests.contract.encode.test_pictures import ABNORM, EFFUSED, LEFT_LUNG, film, map_of

SIDE = 600
AWAY = 70  # pixels of letters from the edge of the film
CORNERS = {"top left": (0, 0), "top right": (0, 1), "bottom left": (1, 0), "bottom right": (1, 1)}


def lettered(*corners: str, side: int = SIDE) -> Image:
    """A film with white letters in some corners, as a side marker or "PORTABLE" is."""
    drawing = Picture.new("L", (side, side), 120)
    for corner in corners:
        down, across = CORNERS[corner]
        place = (side - 260 if across else 20, side - AWAY if down else 20)
        ImageDraw.Draw(drawing).text(place, "R PORTABLE", font=ImageFont.load_default(size=40), fill=255)
    return Image(pixels=np.asarray(drawing, np.float32) / 255)


def hidden_letters(seen: Image) -> float:
    """The share of the film's own letters that the notice covers."""
    before = np.asarray(Picture.fromarray(np.round(seen.pixels * 255).astype(np.uint8)), np.int64)
    after = np.asarray(marked(seen, [], (SIDE, SIDE)).convert("L"), np.int64)
    letters = before > 250
    return float((after[letters] < 200).mean()) if letters.any() else 0.0


@pytest.mark.parametrize(
    "corners",
    [
        ("top left",),
        ("top left", "top right"),
        ("top left", "bottom left"),
        ("top left", "top right", "bottom left"),
        ("top left", "top right", "bottom right"),
    ],
)
def test_the_notice_never_hides_the_letters_of_the_film(corners: tuple[str, ...]) -> None:
    assert hidden_letters(lettered(*corners)) == 0.0


def test_the_notice_is_at_the_top_left_where_nothing_is_in_its_way() -> None:
    for seen in (lettered(), lettered("top right"), lettered("bottom left", "bottom right")):
        shown = np.asarray(marked(seen, [], (SIDE, SIDE)).convert("L"), np.int64)
        assert (shown[14:40, 14:200] < 10).mean() > 0.3, "its black plate"


def test_an_explanation_asked_for_as_sc_and_as_picture_of_a_finding_is_one_picture() -> None:
    saliency = map_of(EFFUSED, 64, LEFT_LUNG)
    explained = dataclasses.replace(report(findings=(EFFUSED,), saliencies=(saliency,)), explanation="occlusion")
    for kinds in (["sc"], ["sc-findings"], ["sc", "sc-findings"]):
        wanted = [ObjectKind(kind) for kind in kinds]
        made = encode(explained, {IMAGE_UID: dx_source(64, 64)}, {IMAGE_UID: film(64, 0.6)}, wanted)
        assert [one.kind.value for one in made] == kinds[:1]


def test_a_finding_that_others_imply_is_flagged_in_its_row_as_in_the_headline() -> None:
    implied = dataclasses.replace(ABNORM, probability=0.4, implied_by=("Pleural effusion",))
    assert conclusion([implied]) == "Flagged: Imaging result abnormal"
    assert verdict_of(implied) == "flagged  0.40"
    assert verdict_of(dataclasses.replace(implied, implied_by=())) == "not flagged  0.40"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0.00"),
        (0.0004, "<0.01"),
        (0.0049, "<0.01"),
        (0.005, "0.01"),
        (0.4824, "0.48"),
        (0.994, "0.99"),
        (0.9951, ">0.99"),
        (0.99999, ">0.99"),
        (1.0, "1.00"),
    ],
)
def test_a_probability_is_not_rounded_to_certainty(value: float, said: str) -> None:
    assert probability(value) == said
