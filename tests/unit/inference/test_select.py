"""Which image a model takes, and what a report says when it takes none."""

from dataclasses import replace
from datetime import datetime

import pytest

from core.domain.report import ReportStatus
from core.domain.study import Instance, Patient, Series, Study
from inference.select import select
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


def declined_of(of, packages):
    selection = select(of, packages)
    assert selection.choices == ()
    return selection.most_telling


def test_a_frontal_chest_is_taken(packages):
    (choice,) = select(study(image()), packages).choices
    assert choice.what.sop_instance_uids == ("1.2.3.1",)
    assert choice.limitations == ()


def read(*images, packages):
    return [choice.what.instances[0] for choice in select(study(*images), packages).choices]


def test_every_image_is_read_and_the_order_is_that_of_the_packages_views(packages):
    ap, pa, unsaid = image(1, view_position="AP"), image(2, view_position="PA"), image(3, view_position="")
    for images in ((ap, pa, unsaid), (unsaid, pa, ap)):
        assert read(*images, packages=packages) == [pa, ap, unsaid]


def test_another_package_prefers_another_view(packages):
    (package,) = packages
    other = replace(package, accepts=replace(package.accepts, views=("AP", "PA")))
    ap, pa = image(1, view_position="AP"), image(2, view_position="PA")
    assert read(ap, pa, packages=(other,)) == [ap, pa]


def test_an_image_for_processing_is_left_to_its_twin_for_presentation(packages):
    at = datetime(2026, 11, 2, 9, 30)
    raw = image(1, presentation_intent_type="FOR PROCESSING", acquired_at=at)
    shown = image(2, presentation_intent_type="FOR PRESENTATION", acquired_at=at)
    later = replace(raw, sop_instance_uid="1.2.3.3", acquired_at=at.replace(minute=31))
    selection = select(study(raw, shown, later), packages)
    assert [choice.what.instances[0] for choice in selection.choices] == [shown, later]
    assert selection.not_read == {"the same image made for presentation is read": 1}


def test_what_is_not_read_is_counted_by_its_reason(packages):
    selection = select(study(image(1), image(2, view_position="LL"), image(3, view_position="LL")), packages)
    assert len(selection.choices) == 1
    assert selection.not_read == {"the view LL is outside the model's intended use": 2}


def second(package, **changes):
    model = replace(package.model, name="second", device_uid="2.25.2")
    return replace(package, model=model, **changes)


def test_of_two_models_for_the_same_image_the_second_reads_when_a_person_signed(packages):
    (first,) = packages
    for both in ((first, second(first)), (second(first), first)):
        assert [choice.package.model.name for choice in select(study(image()), both).choices] == [both[0].model.name]
    for both in ((first, second(first, is_second_reader=True)), (second(first, is_second_reader=True), first)):
        names = [choice.package.model.name for choice in select(study(image()), both).choices]
        assert names == ["bright_patch", "second"], "the one that needs no signature comes first"


def test_a_model_reads_what_the_other_does_not_take_without_a_signature(packages):
    (first,) = packages
    lateral = second(first, accepts=replace(first.accepts, views=("LL",)))
    selection = select(study(image(1), image(2, view_position="LL")), (first, lateral))
    assert [(c.package.model.name, c.what.sop_instance_uids[0]) for c in selection.choices] == [
        ("bright_patch", "1.2.3.1"),
        ("second", "1.2.3.2"),
    ]
    assert selection.not_read == {}


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
    declined = declined_of(study(image(**changes)), packages)
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
    declined = declined_of(study(image(view_position="", **changes)), packages)
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
    assert len(select(study(image(view_position="", **changes)), packages).choices) == 1


@pytest.mark.parametrize(
    "changes",
    [{"modality": "CANARY"}, {"body_part_examined": "CANARY"}, {"view_position": "CANARY"}],
    ids=["modality", "body part", "view"],
)
def test_a_name_in_the_wrong_element_is_not_repeated(packages, changes):
    declined = declined_of(study(image(**changes)), packages)
    assert "CANARY" not in declined.reason


def test_the_reason_is_that_of_the_image_that_came_closest(packages):
    declined = declined_of(study(image(1, modality="CT"), image(2, view_position="LL")), packages)
    assert declined.status is ReportStatus.NOT_ANALYSED


def test_what_is_missing_is_said_as_a_limitation(packages):
    unsaid = image(view_position="", body_part_examined="", patient_age_years=None)
    (package,) = packages
    lenient = replace(package, accepts=replace(package.accepts, body_part_may_be_missing=True))
    (choice,) = select(study(unsaid), (lenient,)).choices
    assert choice.limitations == (
        "The body part is not given: taken for chest because the modality is DX",
        "The view is not given: PA and AP images have different error rates",
        "The patient's age is not known",
    )


def test_an_image_without_an_age_is_of_the_patient_whose_age_another_image_of_the_study_gives(packages):
    child, unsaid = image(1, patient_age_years=4.0, view_position="LL"), image(2, patient_age_years=None)
    assert "younger than 18 years" in declined_of(study(unsaid, child), packages).reason
    assert read(unsaid, image(3), packages=packages) == [unsaid, image(3)]


def test_no_model_at_all_is_a_reason_too():
    declined = declined_of(study(image()), ())
    assert declined.status is ReportStatus.REFUSED
