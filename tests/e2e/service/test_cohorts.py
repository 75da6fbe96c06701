"""For whom a report is, through the door: C-STORE in, cohort lines in the SR, a pseudonymous row for the audit."""

from __future__ import annotations

import time
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import generate_uid

from core.clock import SettableClock
from core.documents.reading import text_of
from dicom_node.send import open_association
from fairness.audit.document import AuditDocument
from fairness.mitigation_policy import Effect, OperatingPolicy, Rates
from models.package.format import load_package
from pipeline.watch.site_audit import audit_site, keep_audit
from tests.e2e.house import House, destination, wait_until
from tests.e2e.reports import SR, reports_by_study
from tests.e2e.studies import candor, radiograph, send
from tests.known_model import make_known_model
from tests.site_readings import fill_site
from tests.store_fixtures import make_store, store_settings

NOW = 1_800_000_000.0


def report_of(house, archive, image):
    """The SR that comes back for one image."""
    house.start("worker")
    house.start("node")
    house.wait_ready()
    send([image], house.port)
    wait_until(lambda: reports_by_study(archive), seconds=60, what="the report")
    return reports_by_study(archive)[image.study_instance_uid][0]


def performance_of(report):
    """What the only finding of an SR says of how well the model does: figures and words, by code value."""
    (group,) = measurement_groups(report)
    (threshold,) = [item for item in group.ContentSequence if code_value(item) == "OP_THRESHOLD"]
    figures = {code_value(item): number_of(item) for item in threshold.get("ContentSequence", [])}
    words = {code_value(item): item.TextValue for item in group.ContentSequence if item.ValueType == "TEXT"}
    return figures | words | {"OP_THRESHOLD": number_of(threshold)}


def code_value(item):
    return item.ConceptNameCodeSequence[0].CodeValue


def number_of(item):
    return float(item.MeasuredValueSequence[0].NumericValue)


def test_without_an_audit_the_report_gives_the_figures_of_the_operating_point_and_says_so(house, archive):
    image = radiograph(1, bright=True)
    said = performance_of(report_of(house, archive, image))
    assert (said["111088"], said["N_POSITIVES"]) == (1.0, 50)
    assert said["PERFORMANCE"].endswith(
        "measured in the model's validation patients as a whole, because no audit by cohort came with it."
    )
    with house.store() as store:
        (row,) = store.readings.newest()
    assert (row.facts.patient_sex, row.facts.patient_age_years, row.facts.view_position) == ("F", 51.0, "PA")
    assert row.above == {"bright_patch": True}
    assert row.turnaround_seconds is not None
    assert 0 < row.turnaround_seconds < 60
    assert "CANARY" not in str(row).upper()


@pytest.fixture
def audited_house(tmp_path, archive):
    """A house whose known model brings an audit by the real audit code: 0.9 are found in PA images, 0.6 in AP."""
    package = make_known_model(tmp_path / "packages")
    model = load_package(package).model
    store = make_store(tmp_path, SettableClock(NOW))
    fill_site(store, model, now=NOW, size=1500)
    audit = audit_site(store, store_settings(tmp_path, minimum_free_bytes=0), model, now=NOW, draws=50)
    store.close()
    (package / "docs").mkdir(exist_ok=True)
    (package / "docs" / "audit.json").write_text(text_of(AuditDocument.of(audit)))
    folder = tmp_path / "house"
    folder.mkdir()
    there = destination("ARCHIVE", archive.port)
    house = House(folder, lines=("quiet_seconds = 0.5",), destinations=(there,), packages=(package,))
    house.make()
    yield house, audit
    house.kill_tree()


def test_the_report_quotes_the_cohort_of_the_patient_from_the_models_own_audit_then_from_local_truth(
    audited_house, archive
):
    house, audit = audited_house
    model = load_package(house.packages[0]).model
    image = radiograph(1, bright=True, change=without_age)
    report = report_of(house, archive, image)
    said = performance_of(report)
    row = audit.row("bright_patch", "sensitivity", "sex=F & view=PA") or audit.row(
        "bright_patch", "sensitivity", "view=PA"
    )
    assert row.cohort == "sex=F & view=PA"
    assert said["111088"] == pytest.approx(row.value, abs=5e-4)
    assert said["N_POSITIVES"] == row.positives
    assert said["PERFORMANCE"].endswith(
        f"{row.positives} patients with it; specificity 0.89 [0.84, 0.92], 264 without it; measured in the model's own "
        "held-out patients (women, view PA); too little data on age not given, view PA."
    )
    with house.store() as store:
        fill_site(store, model, now=time.time() - 3600, size=1500)
        kept = keep_audit(store, model, audit_site(store, house.settings, model, now=time.time(), draws=50))
    late = radiograph(2, bright=True)
    send([late], house.port)
    wait_until(lambda: late.study_instance_uid in reports_by_study(archive), seconds=60, what="the second report")
    said = performance_of(reports_by_study(archive)[late.study_instance_uid][0])
    assert "; measured in local reads to 20" in said["PERFORMANCE"]
    assert f"audit {kept.audit_id}" in said["PERFORMANCE"]


def without_age(dataset):
    del dataset.PatientAge, dataset.PatientBirthDate


def verified_copy(report, *, observer="Canary^Reader"):
    """What a PACS sends back when a person has verified our report and found the patch not to be there."""
    copy = dcmread(BytesIO(sr_bytes(report)))
    copy.VerificationFlag, copy.PreliminaryFlag = "VERIFIED", "FINAL"
    person = Dataset()
    person.VerifyingObserverName, person.VerifyingOrganization = observer, "Clinic"
    person.VerificationDateTime, person.VerifyingObserverIdentificationCodeSequence = "20261031120000", []
    copy.VerifyingObserverSequence = [person]
    predecessor, series, study = Dataset(), Dataset(), Dataset()
    predecessor.ReferencedSOPClassUID, predecessor.ReferencedSOPInstanceUID = copy.SOPClassUID, copy.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = copy.SeriesInstanceUID, [predecessor]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = copy.StudyInstanceUID, [series]
    copy.PredecessorDocumentsSequence = [study]
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    copy.Manufacturer = "A PACS"
    for group in measurement_groups(copy):
        for item in group.ContentSequence:
            if code_value(item) == "OUTCOME":
                item.ConceptCodeSequence[0].CodeValue = "NOT_FLAGGED"
    return copy


def measurement_groups(report):
    """The groups of both sections: those with a region, and the others."""
    sections = [i.ContentSequence for i in report.ContentSequence if "ContentSequence" in i]
    return [i for items in sections for i in items if i.ConceptNameCodeSequence[0].CodeValue == "125007"]


def sr_bytes(dataset):
    stream = BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def store_sr(dataset, port):
    with open_association(candor(port), [SR]) as sender:
        assert sender.send(sr_bytes(dataset)).status == 0


def test_a_report_that_a_person_verified_comes_back_as_ground_truth(house, archive):
    image = radiograph(1, bright=True)
    report = report_of(house, archive, image)
    unrelated = verified_copy(report)
    unrelated.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[
        0
    ].ReferencedSOPInstanceUID = "2.25.1"
    unsigned = verified_copy(report, observer="")
    store_sr(unrelated, house.port)  # verified, but not one of our reports
    store_sr(unsigned, house.port)  # a flag without a signature
    with house.store() as store:
        assert store.truths.all() == []
        store_sr(verified_copy(report), house.port)
        (answer,) = store.truths.all()
        assert (answer.finding, answer.value, answer.ai_seen) == ("bright_patch", False, True)
        assert answer.study_id == store.study_id_of(image.study_instance_uid)
        assert [row.revision for row in store.studies.rows()] == [1]  # nothing is read again for it
    assert b"Canary" not in house.log().encode()


def test_a_cohorts_operating_point_counts_once_it_is_signed_and_the_report_says_so(house, archive):
    """The known model gives the dark image 0.12; women's threshold, signed off, is 0.05, so it is a finding for her."""
    model = load_package(house.packages[0]).model
    rates = Rates(sensitivity=(0.9, 0.8, 0.95), specificity=(0.7, 0.6, 0.8))
    effect = Effect(
        finding="bright_patch",
        cohort="sex=F",
        threshold_before=0.5,
        threshold_after=0.05,
        before=rates,
        after=rates,
        positives=70,
        negatives=80,
        changes=True,
        note="",
    )
    with house.store() as store:
        document = OperatingPolicy(by="sex", effects=(effect,)).model_dump(mode="json")
        number = store.operating_policies.propose(model.sha256, document)
        store.operating_policies.sign_off(number, by="Dr. A", reason="test")
    report = report_of(house, archive, radiograph(1, bright=False))
    (finding,) = measurement_groups(report)
    (outcome,) = [item for item in finding.ContentSequence if code_value(item) == "OUTCOME"]
    assert outcome.ConceptCodeSequence[0].CodeValue == "FLAGGED"
    said = performance_of(report)
    assert said["OP_THRESHOLD"] == 0.05
    assert said["COHORT_POINT"].startswith("Operating point of the cohort women (operating policy 1, signed")
    assert (said["111088"], said["N_NEGATIVES"]) == (0.9, 80)
    assert ", 80 without it; measured in local reads, operating policy 1, signed off 20" in said["PERFORMANCE"]
