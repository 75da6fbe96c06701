"""Readings and ground truth in a real store, and that no identity gets into them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from core.clock import SettableClock
from core.domain.input import ModelInput
from core.domain.reading import GroundTruth, TruthSource
from core.domain.report import Reading, Report, ReportStatus
from core.domain.study import Instance, Patient, Series, Study
from core.store.store import Store
from pipeline.watch.facts import failed_reading, patient_pseudonym, records_of, whole_studies
from tests.contract.encode.cases import MODEL, finding
from tests.store_fixtures import make_store

KEY = b"k" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return make_store(tmp_path, SettableClock(1000.0))


def study(study_id="s1", revision=1, **patient):
    image = Instance(
        sop_instance_uid="1.2.3",
        sop_class_uid="1.2",
        series_instance_uid="1.2.4",
        study_instance_uid="1.2.5",
        transfer_syntax_uid="1.2",
        view_position="AP",
        kvp=120.0,
        institution_name="Canary Clinic",
        series_description="Chest AP portable",
        patient_age_years=70.0,
    )
    who = Patient(
        patient_id="CANARY1", patient_name="Canary^Name", patient_birth_date=date(1950, 1, 2), patient_sex="F"
    )
    return Study(
        study_id=study_id,
        study_instance_uid="1.2.5",
        revision=revision,
        patient=dataclasses.replace(who, **patient),
        accession_number="CANARYACC",
        series=(Series(series_instance_uid="1.2.4", modality="DX", instances=(image,)),),
        calling_ae_title="ICU1",
    )


def reading(of, at=10.0):
    return records([read(of.instances[0])], of, at=at)[0]


def read(image, probability=0.87, model=MODEL):
    what, findings = ModelInput.of(image), (finding(probability=probability),)
    return Reading(model=model, what=what, status=ReportStatus.REPORTED, findings=findings)


def records(readings, of, at=10.0):
    created_at = datetime.fromtimestamp(at, UTC)
    report = Report(study=of, status=ReportStatus.REPORTED, created_at=created_at, readings=tuple(readings))
    return records_of(report, KEY, turnaround_seconds=1.5)


def test_a_reading_knows_cohorts_and_no_identity():
    made = reading(study())
    assert (made.facts.view_position, made.facts.mobile, made.facts.patient_sex) == ("AP", True, "F")
    assert made.above == {"lung_opacity": True}
    everything = str(dataclasses.asdict(made))
    for canary in ("CANARY1", "Canary^Name", "CANARYACC", "1950", "1.2.3", "1.2.5"):
        assert canary not in everything
    assert "Clinic" not in repr(made)  # free text may be kept, but nothing prints it


def test_one_patient_has_one_pseudonym_and_an_empty_id_links_no_patients():
    assert patient_pseudonym(study("s1"), KEY) == patient_pseudonym(study("s2"), KEY)
    assert patient_pseudonym(study("s1", issuer_of_patient_id="B"), KEY) != patient_pseudonym(study("s1"), KEY)
    nobodies = {patient_pseudonym(study(name, patient_id=""), KEY) for name in ("s1", "s2")}
    assert len(nobodies) == 2


def test_a_reading_is_kept_once_and_the_newest_revision_counts(store: Store):
    first, second = reading(study(), at=10.0), reading(study(revision=2), at=20.0)
    for made in (first, first, second):
        store.readings.record(made)
    store.readings.record(failed_reading(study("s2"), KEY, at=30.0))
    assert [(r.study_id, r.revision, r.status.value) for r in store.readings.newest()] == [
        ("s1", 2, "reported"),
        ("s2", 1, "failed"),
    ]
    assert store.readings.newest(until=15.0) == [first]
    assert store.readings.newest(since=25.0, until=30.0) == []


def test_a_study_has_one_record_a_model_with_the_highest_probability_of_its_images(store: Store):
    (image,) = study().instances
    other = dataclasses.replace(image, sop_instance_uid="1.2.9", view_position="PA")
    second = dataclasses.replace(MODEL, name="second", device_uid="2.25.9")
    readings = [read(image, 0.2), read(other, 0.9), read(image, 0.3, second)]
    made = records(readings, study())
    assert [(one.model_name, one.probabilities, one.above) for one in made] == [
        ("chest_radiograph", {"lung_opacity": 0.9}, {"lung_opacity": True}),
        ("second", {"lung_opacity": 0.3}, {"lung_opacity": False}),
    ]
    assert made[0].facts.view_position == "AP", "the facts are those of the preferred image"
    for one in (*made, *made):
        store.readings.record(one)
    assert store.readings.newest() == made
    (whole,) = whole_studies(made)
    assert (whole.probabilities, whole.above) == ({"lung_opacity": 0.9}, {"lung_opacity": True})


def test_a_reading_that_failed_among_others_is_that_of_its_model():
    (image,) = study().instances
    failed = Reading(model=MODEL, what=ModelInput.of(image), status=ReportStatus.FAILED, reason="it died")
    second = dataclasses.replace(MODEL, name="second", device_uid="2.25.9")
    made = records([failed, read(image, 0.3, second)], study())
    assert [(one.model_name, one.status, one.turnaround_seconds) for one in made] == [
        ("chest_radiograph", ReportStatus.FAILED, None),
        ("second", ReportStatus.REPORTED, 1.5),
    ]


def test_a_failure_before_any_model_gives_way_to_the_attempt_that_succeeded(store: Store):
    store.readings.record(failed_reading(study(), KEY, at=5.0))
    store.readings.record(reading(study(), at=10.0))
    assert [one.status for one in store.readings.newest()] == [ReportStatus.REPORTED]


def test_the_same_answer_twice_is_one_answer(store: Store):
    answer = GroundTruth(
        study_id="s1", finding="effusion", value=True, source=TruthSource.CSV, reader="r1", ai_seen=False, at=5.0
    )
    later = dataclasses.replace(answer, value=False, at=6.0)
    assert store.truths.add([answer, later]) == 2
    assert store.truths.add([answer]) == 0
    assert store.truths.all() == [answer, later]
