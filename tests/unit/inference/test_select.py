"""Which image a model takes, and what a report says when it takes none."""

from dataclasses import replace

import pytest

from core.domain.report import ReportStatus
from core.domain.study import Instance, Patient, Series, Study
from inference.select import Choice, Declined, select
from models.package.format import load_package
from tests.known_model import make_known_model


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    package = load_package(make_known_model(tmp_path_factory.mktemp("models")))
    return (replace(package, accepts=replace(package.accepts, maximum_age_years=65)),)


def image(number=1, **changes):
    values = {
        "sop_instance_uid": f"1.2.3.{number}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.1",
        "series_instance_uid": "1.2.3",
        "study_instance_uid": "1.2",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "modality": "DX",
        "body_part_examined": "CHEST",
        "view_position": "PA",
        "photometric_interpretation": "MONOCHROME2",
        "rows": 512,
        "columns": 512,
        "patient_age_years": 50.0,
    }
    return Instance(**{**values, **changes})


def study(*images, patient_id="P1"):
    series = Series(series_instance_uid="1.2.3", modality="DX", instances=images)
    patient = Patient(patient_id=patient_id)
    return Study(study_id="s", study_instance_uid="1.2", revision=1, patient=patient, series=(series,))


def test_a_frontal_chest_is_taken(packages):
    choice = select(study(image()), packages)
    assert isinstance(choice, Choice)
    assert choice.limitations == ()


def test_pa_is_preferred_to_ap_and_the_choice_does_not_depend_on_the_order(packages):
    ap, pa = image(1, view_position="AP"), image(2, view_position="PA")
    for images in ((ap, pa), (pa, ap)):
        choice = select(study(*images), packages)
        assert isinstance(choice, Choice)
        assert choice.instance is pa


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"modality": "CT"}, ReportStatus.REFUSED, "modality CT"),
        ({"body_part_examined": "HIP"}, ReportStatus.REFUSED, "DX of body part HIP"),
        ({"body_part_examined": ""}, ReportStatus.REFUSED, "body part is not given"),
        ({"view_position": "LL"}, ReportStatus.NOT_ANALYSED, "view LL"),
        ({"patient_age_years": 9.0}, ReportStatus.NOT_ANALYSED, "younger than 18"),
        ({"patient_age_years": 66.0}, ReportStatus.NOT_ANALYSED, "older than 65"),
        ({"rows": 8}, ReportStatus.NOT_ANALYSED, "smaller than"),
        ({"number_of_frames": 2}, ReportStatus.NOT_ANALYSED, "more than one frame"),
        ({"photometric_interpretation": "RGB"}, ReportStatus.NOT_ANALYSED, "photometric interpretation RGB"),
    ],
)
def test_what_is_not_taken_says_why(packages, changes, status, words):
    declined = select(study(image(**changes)), packages)
    assert isinstance(declined, Declined)
    assert declined.status is status
    assert words in declined.reason


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"patient_orientation": ("A", "F")}, "front and back"),
        ({"patient_orientation": ("P", "F")}, "front and back"),
        ({"patient_orientation": ("AL", "FP")}, "front and back"),
        ({"series_description": "Chest LAT"}, "a lateral"),
        ({"series_description": "thorax lateral"}, "a lateral"),
        ({"series_description": "THORAX_LL"}, "a lateral"),
    ],
)
def test_a_lateral_without_a_view_is_not_taken_for_a_frontal(packages, changes, words):
    declined = select(study(image(view_position="", **changes)), packages)
    assert isinstance(declined, Declined)
    assert declined.status is ReportStatus.NOT_ANALYSED
    assert words in declined.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"patient_orientation": ("L", "F")},
        {"patient_orientation": ("R", "F")},
        {"series_description": "chest, bilateral; collateral note; ALL"},
    ],
)
def test_a_frontal_without_a_view_is_taken(packages, changes):
    assert isinstance(select(study(image(view_position="", **changes)), packages), Choice)


def test_a_stated_view_is_preferred_to_none_and_the_choice_does_not_depend_on_the_order(packages):
    unsaid, ap = image(1, view_position=""), image(2, view_position="AP")
    for images in ((unsaid, ap), (ap, unsaid)):
        choice = select(study(*images), packages)
        assert isinstance(choice, Choice)
        assert choice.instance is ap


@pytest.mark.parametrize(
    "changes",
    [{"modality": "CANARY"}, {"body_part_examined": "CANARY"}, {"view_position": "CANARY"}],
    ids=["modality", "body part", "view"],
)
def test_a_name_in_the_wrong_element_is_not_repeated(packages, changes):
    declined = select(study(image(**changes)), packages)
    assert isinstance(declined, Declined)
    assert "CANARY" not in declined.reason


def test_the_reason_is_that_of_the_image_that_came_closest(packages):
    declined = select(study(image(1, modality="CT"), image(2, view_position="LL")), packages)
    assert isinstance(declined, Declined)
    assert declined.status is ReportStatus.NOT_ANALYSED


def test_what_is_missing_is_reported_as_a_limitation(packages):
    choice = select(study(image(view_position="", patient_age_years=None), patient_id=""), packages)
    assert isinstance(choice, Choice)
    assert len(choice.limitations) == 3


def test_no_model_at_all_is_a_reason_too():
    declined = select(study(image()), ())
    assert isinstance(declined, Declined)
    assert declined.status is ReportStatus.REFUSED
