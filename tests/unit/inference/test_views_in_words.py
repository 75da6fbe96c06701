"""A view that only words give away, and "CHEST PA & LAT", which names two; the rows decide where they are given."""

from __future__ import annotations

import pytest

from core.domain.report import ReportStatus
from dicom_node.header.read import read_header, to_instance
from inference.select import select
from tests.contract.dicom_peers import dx_dataset, part10
from tests.unit.inference.test_select import declined_of, packages, study  # noqa: F401  # packages: a fixture

LATERAL_WORDS = [
    "CHEST LAT",
    "Chest Lateral",
    "LAT CHEST",
    "CHESTLAT",
    "LatChest",
    "CHEST_LAT_LEFT",
    "THORAX,LL",
    "CHEST L-LAT 1V",
    "XR CHEST 1V LAT.",
    "Thorax seitl.",
    "Thorax seitlich links",
    "THORAX PROFIL GAUCHE",
    "Torax perfil izq.",
    "TORACE LATEROLATERALE",
    "KLP boczne",
    "Thorax dwars",
    "Грудная клетка боковая",
    "胸部侧位",
    "胸部側面",
    "CHEST RAO",
    "CHEST OBLIQUE",
    "CHEST LLD",
]
FRONTAL_WORDS = ["CHEST", "CHEST PA", "CHEST AP PORTABLE", "bilateral", "PLATE", "LATEX", "Thorax p.a.", "ThoraxPA"]
ELEMENTS = {
    "ProtocolName": "protocol name",
    "SeriesDescription": "series description",
    "AcquisitionDeviceProcessingDescription": "processing description",
}


def of(rows: tuple[str, str] | None = None, **elements: object):
    """An image of a chest as its header gives it; without a view, unless one is named."""
    facts: dict[str, object] = {"ViewPosition": None, "Rows": 512, "Columns": 512, "PatientAge": "050Y"}
    facts |= {"PatientBirthDate": None, "SpecificCharacterSet": "ISO_IR 192"}
    ds = dx_dataset(**facts | ({"PatientOrientation": list(rows)} if rows else {}) | elements)
    return study(to_instance(read_header(part10(ds))))


@pytest.mark.parametrize("words", LATERAL_WORDS)
def test_a_view_that_only_one_description_says_is_not_taken_for_a_frontal(packages, words: str) -> None:  # noqa: F811
    for element, name in ELEMENTS.items():
        declined = declined_of(of(**{element: words}), packages)
        assert declined.status is ReportStatus.NOT_ANALYSED
        assert name in declined.reason
        assert words not in declined.reason


@pytest.mark.parametrize("words", FRONTAL_WORDS)
def test_words_that_say_no_other_view_keep_no_frontal_out(packages, words: str) -> None:  # noqa: F811
    for element in ELEMENTS:
        assert len(select(of(**{element: words}), packages).choices) == 1


TWO_VIEWS = [
    "CHEST PA & LAT",
    "CHEST PA AND LATERAL",
    "CHEST PA/LAT",
    "Chest 2 views (PA, LAT)",
    "XR CHEST AP+LAT",
    "CHEST LAT PA",
    "THORAX PA U. SEITLICH",
    "TORAX PA Y LAT",
    "THORAX FRONTAL ET PROFIL",
    "胸部 PA 側面",
]


@pytest.mark.parametrize("words", TWO_VIEWS)
@pytest.mark.parametrize("element", ELEMENTS)
@pytest.mark.parametrize(
    ("rows", "is_read"),
    [
        (("L", "F"), True),
        (("R", "F"), True),
        (("L", "FP"), True),
        (("LF", "FR"), True),
        (("A", "F"), False),
        (("P", "F"), False),
        (("AL", "F"), False),
        (("L", "P"), False),
        (None, False),
    ],
    ids=str,
)
def test_of_words_that_name_two_views_the_rows_decide(packages, words, element, rows, is_read) -> None:  # noqa: F811
    assert len(select(of(rows, **{element: words}), packages).choices) == is_read


@pytest.mark.parametrize(
    ("elements", "is_read"),
    [
        ({"SeriesDescription": "CHEST PA & LAT", "ProtocolName": "CHEST PA"}, True),
        ({"SeriesDescription": "CHEST PA", "ProtocolName": "CHEST PA & LAT"}, True),
        ({"ProtocolName": "CHEST PA & LAT", "AcquisitionDeviceProcessingDescription": "CHEST,AP"}, True),
        ({"ProtocolName": "CHEST PA & LAT", "AcquisitionDeviceProcessingDescription": "CHEST,LAT"}, False),
        ({"SeriesDescription": "CHEST PA", "AcquisitionDeviceProcessingDescription": "CHEST,LAT"}, False),
        ({"SeriesDescription": "CHEST LAT", "ProtocolName": "CHEST PA"}, False),
        ({"SeriesDescription": "CHEST PA & LAT", "ProtocolName": "CHEST"}, False),
        ({"SeriesDescription": "CHEST PA & LAT", "ViewPosition": "PA"}, True),
        ({"ProtocolName": "CHEST LAT", "ViewPosition": "AP"}, True),
        ({"ProtocolName": "CHEST PA", "ViewPosition": "LL"}, False),
        ({"StudyDescription": "CHEST PA & LAT"}, True),
        ({"BodyPartExamined": "CHESTLAT"}, False),
        ({"BodyPartExamined": "CHEST PA LAT", "SeriesDescription": "PA"}, True),
    ],
    ids=str,
)
def test_what_names_one_view_comes_before_what_names_two(packages, elements, is_read) -> None:  # noqa: F811
    """The description of a study is of all its images, so it says nothing of one."""
    assert len(select(of(**elements), packages).choices) == is_read
