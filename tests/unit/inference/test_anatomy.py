"""Which body part and view an image is taken for: codes before words, orientation before words, and what is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from core.domain.report import ReportStatus
from inference.select import select
from inference.terms import body_part_of
from tests.unit.inference.test_select import declined_of, image, packages, study  # noqa: F401  # packages: a fixture


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("CHEST", "CHEST"),
        ("CHEST PA", "CHEST"),
        ("CHEST_PA", "CHEST"),
        ("PORT CHEST", "CHEST"),
        ("Chest, 2 views", "CHEST"),
        ("XR CHEST PORTABLE 1V", "CHEST"),
        ("LUNGS", "LUNG"),
        ("THORAX AP", "THORAX"),
        ("TORAX", "CHEST"),
        ("CXR", "CHEST"),
        ("CHESTPA", "CHEST"),
        ("CHEST2V", "CHEST"),
        ("XRCHEST", "CHEST"),
        ("CHEST 2VIEWS", "CHEST"),
        ("XR CHEST 2 VW", "CHEST"),
        ("ADULT CHEST", "CHEST"),
        ("CHEST LT", "CHEST"),
        ("THORAX STEHEND", "THORAX"),
        ("TORAX PA Y LAT", "CHEST"),
        ("CHEST/LUNG", "CHEST"),
        ("THORAX, LUNGS", "CHEST"),
        ("LUNGE", "LUNG"),
        ("PULMONES", "LUNG"),
        ("POLMONI", "LUNG"),
        ("HAND PA", "HAND"),
        ("SHOULDER LEFT", "SHOULDER"),
        ("HIP RT 2V", "HIP"),
        ("T-SPINE", "TSPINE"),
        ("THORACIC SPINE LAT", "TSPINE"),
        ("LUMBAR_SPINE", "LSPINE"),
        ("CERVICAL SPINE 3 VIEWS", "CSPINE"),
        ("CHEST INFANT", ""),
        ("CHESTABD", ""),
        ("HEART CHEST", ""),
        ("CHEST T-SPINE", ""),
        ("RIBS", "RIB"),
        ("RTG KLP", "CHEST"),  # the site's own
        ("  rtg   klp ", "CHEST"),
        ("CHEST ABDOMEN", ""),
        ("CHEST RIBS", ""),
        ("UNKNOWN", ""),
        ("PA", ""),
        ("", ""),
    ],
)
def test_what_body_part_examined_means(words, part):
    assert body_part_of(words, {"RTG KLP": "CHEST"}) == part


@pytest.mark.parametrize("words", ["CHEST PA", "PORT CHEST", "LUNGS", "Torax", "CXR", "thorax ap"])
def test_a_chest_in_other_words_is_read(packages, words):  # noqa: F811
    assert len(select(study(image(body_part_examined=words)), packages).choices) == 1


@pytest.mark.parametrize("words", ["RTG KLP", "CHEST RIBS", "CHEST ABDOMEN", "CANARY"])
def test_words_that_may_be_ours_are_not_passed_over_in_silence(packages, words):  # noqa: F811
    declined = declined_of(study(image(body_part_examined=words)), packages)
    assert declined.status is ReportStatus.NOT_ANALYSED
    assert "body_part_words" in declined.reason
    assert words not in declined.reason


def test_a_site_names_its_own_words(packages):  # noqa: F811
    (package,) = packages
    of_site = replace(package, accepts=replace(package.accepts, body_part_words={"RTG KLP": "CHEST"}))
    assert len(select(study(image(body_part_examined="rtg klp")), (of_site,)).choices) == 1


@pytest.mark.parametrize(
    ("coded", "words", "outcome"),
    [
        ("CHEST", "CHEST", "read"),
        ("CHEST", "", "read"),
        ("CHEST", "KLP", "read"),
        ("CHEST", "HAND", "read"),
        ("LUNG", "CHEST", "read"),
        ("HAND", "", ReportStatus.REFUSED),
        ("HAND", "HAND", ReportStatus.REFUSED),
        ("HAND", "KLP", ReportStatus.REFUSED),
        ("OTHER", "", ReportStatus.REFUSED),
        ("TSPINE", "CHEST", ReportStatus.NOT_ANALYSED),
        ("OTHER", "CHEST", ReportStatus.NOT_ANALYSED),
        ("", "CHEST", "read"),
    ],
)
def test_the_code_of_the_body_part_comes_before_its_word(packages, coded, words, outcome):  # noqa: F811
    of = study(image(anatomic_region=coded, body_part_examined=words))
    if outcome == "read":
        assert len(select(of, packages).choices) == 1
    else:
        assert declined_of(of, packages).status is outcome


def test_a_word_that_says_another_part_than_the_code_is_said(packages):  # noqa: F811
    (choice,) = select(study(image(anatomic_region="CHEST", body_part_examined="HAND")), packages).choices
    assert any("CHEST by its code and HAND by its word" in limitation for limitation in choice.limitations)


@pytest.mark.parametrize(
    ("changes", "is_read"),
    [
        ({"view_code": "PA", "view_position": ""}, True),
        ({"view_code": "FRONTAL", "view_position": ""}, True),
        ({"view_code": "FRONTAL", "view_position": "AP"}, True),
        ({"view_code": "LL", "view_position": ""}, False),
        ({"view_code": "LL", "view_position": "PA"}, False),
        ({"view_code": "LATERAL", "view_position": ""}, False),
        ({"view_code": "OBLIQUE", "view_position": "PA"}, False),
        ({"view_code": "OTHER", "view_position": ""}, False),
        ({"view_code": "PA", "view_position": "LL"}, False),
        ({"view_code": "PA", "view_position": "", "series_description": "CHEST LAT"}, True),
        ({"view_position": "", "patient_orientation": ("L", "F"), "series_description": "CHEST PA & LAT"}, True),
        ({"view_position": "", "patient_orientation": ("R", "F"), "series_description": "LATERAL"}, True),
        ({"view_position": "", "series_description": "CHEST PA & LAT"}, False),
        ({"view_position": "", "patient_orientation": ("A", "F"), "series_description": "CHEST PA"}, False),
        ({"view_position": "PA", "patient_orientation": ("P", "F")}, False),
        ({"view_position": "", "patient_orientation": ("L", "P")}, False),
        ({"view_position": "", "body_part_examined": "CHEST LAT"}, False),
        ({"view_position": "PA", "series_description": "CHEST PA & LAT"}, True),
        ({"view_position": "", "series_description": "Thorax seitlich"}, False),
        ({"view_position": "", "series_description": "THORAX PROFIL G"}, False),
        ({"view_position": "", "series_description": "Torax perfil"}, False),
        ({"view_position": "", "series_description": "Torace laterale"}, False),
        ({"view_position": "", "series_description": "CHEST_LLAT"}, False),
        ({"view_position": "", "series_description": "Chest OBL"}, False),
        ({"view_position": "", "series_description": "chest (RAO)"}, False),
        ({"view_position": "", "series_description": "CHEST RT DECUB"}, False),
        ({"view_position": "", "series_description": "Chest, obliterated LAD; PROFILED; seitliches"}, True),
        ({"view_position": "", "patient_orientation": ("L", "F"), "series_description": "Thorax seitlich"}, True),
        ({"view_position": "", "patient_orientation": ("L", "FP"), "body_part_examined": "CHEST PA LAT"}, True),
        ({"view_position": "AP", "patient_orientation": ("L", "F"), "body_part_examined": "CHEST AP & LAT"}, True),
        ({"view_position": "PA", "patient_orientation": ("H", "L")}, True),  # turned: the quality check judges it
        ({"view_position": "", "patient_orientation": ("", "")}, True),
    ],
)
def test_the_view_by_code_then_orientation_then_words(packages, changes, is_read):  # noqa: F811
    assert len(select(study(image(**changes)), packages).choices) == is_read


DERIVED = ("DERIVED", "SECONDARY")
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
AT = datetime(2026, 11, 2, 9, 30)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_type": DERIVED, "sop_class_uid": CAPTURE},
        {"image_type": ("ORIGINAL", "SECONDARY")},
        {"image_type": ("DERIVED", "PRIMARY", "", "BONE")},
        {"image_type": ("DERIVED", "PRIMARY", "SOFT_TISSUE")},
        {"image_type": ("DERIVED", "PRIMARY")},
        {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.7.2"},
        {"presentation_intent_type": "FOR PROCESSING"},
        {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.1.1"},
    ],
)
def test_the_original_is_read_whatever_the_order_of_uids(packages, changes):  # noqa: F811
    original, other = image(2, image_type=("ORIGINAL", "PRIMARY")), image(1, **changes)
    selection = select(study(other, original), packages)
    assert [choice.what.instances[0] for choice in selection.choices] == [original]
    assert [choice.what.instances[0] for choice in selection.reserves] == [other]
    assert list(selection.reasons) == [other.sop_instance_uid]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"image_type": DERIVED, "sop_class_uid": CAPTURE}, "secondary"),
        ({"presentation_intent_type": "FOR PROCESSING"}, "FOR PROCESSING"),
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.1.1"}, "FOR PROCESSING"),
    ],
)
def test_without_an_original_the_next_best_is_read_and_that_is_said(packages, changes, words):  # noqa: F811
    (choice,) = select(study(image(**changes)), packages).choices
    assert any(words in limitation for limitation in choice.limitations)


def test_each_original_is_read_and_derived_images_of_other_exposures_too(packages):  # noqa: F811
    images = (
        image(1, image_type=("ORIGINAL", "PRIMARY"), acquired_at=AT),
        image(2, image_type=("ORIGINAL", "PRIMARY"), acquired_at=AT.replace(minute=35)),
        image(3, image_type=("DERIVED", "PRIMARY"), acquired_at=AT.replace(minute=40)),
        image(4, image_type=("DERIVED", "PRIMARY"), acquired_at=AT),
    )
    selection = select(study(*images), packages)
    assert [choice.what.sop_instance_uids[0][-1] for choice in selection.choices] == ["1", "2", "3"]


def test_what_a_device_shows_is_read_before_its_raw_data(packages):  # noqa: F811
    raw = image(1, image_type=("ORIGINAL", "PRIMARY"), presentation_intent_type="FOR PROCESSING", acquired_at=AT)
    shown = image(2, image_type=("DERIVED", "PRIMARY"), presentation_intent_type="FOR PRESENTATION", acquired_at=AT)
    selection = select(study(raw, shown), packages)
    assert [choice.what.instances[0] for choice in selection.choices] == [shown]


def test_a_stated_age_that_cannot_be_read_is_not_an_adults(packages):  # noqa: F811
    unreadable = image(patient_age_years=None, is_age_unreadable=True)
    declined = declined_of(study(unreadable), packages)
    assert declined.status is ReportStatus.NOT_ANALYSED
    assert "cannot be read" in declined.reason


def test_an_image_of_too_many_pixels_is_not_decoded(packages):  # noqa: F811
    (package,) = packages
    bounded = replace(package, accepts=replace(package.accepts, maximum_pixels=64_000_000))
    declined = declined_of(study(image(rows=10_000, columns=10_000)), (bounded,))
    assert (declined.status, "maximum_image_pixels" in declined.reason) == (ReportStatus.NOT_ANALYSED, True)
    assert len(select(study(image(rows=8_000, columns=8_000)), (bounded,)).choices) == 1
