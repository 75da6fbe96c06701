"""The same picture under another header, a late image of somebody else, a file that was lost: what the store does."""

from dataclasses import replace

import pytest

from core.clock import SettableClock
from core.domain.delivery import DeliveryStatus
from core.domain.report import ObjectKind, ReportStatus, ResultObject
from core.domain.study import Patient, StudyState
from core.errors import ConfigurationError
from core.identity import Correction
from core.store.studies.arrivals import InstanceRole, Kept
from core.store.studies.patient.quarantine import Decision, QuarantineKind
from core.store.studies.reports import FiledReport
from tests.store_fixtures import arrival, make_store

WRONG, RIGHT = (
    Patient(patient_id="P1", patient_name="Wrong^Canary"),
    Patient(patient_id="P2", patient_name="Right^Canary"),
)
OTHER = Patient(patient_id="P9", patient_name="Other^Canary")
NAMES_PATIENT = Correction(keywords=("PatientName", "PatientID"), names_patient=True)
OF_THE_VIEW = Correction(keywords=("ViewPosition",), names_patient=False)
OF_NOTHING = Correction(keywords=(), names_patient=False)
DECISION = Decision(by="Dr. Who", because="seen at the modality")


@pytest.fixture
def store(tmp_path):
    store = make_store(tmp_path, SettableClock(1_000.0))
    store.intake.open_association("a1", node="n", calling_ae_title="MODALITY", address="127.0.0.1")
    yield store
    store.close()


STUDY = "1.2.1"


def image(number="1", patient=WRONG, part10=b"first", **changes):
    return arrival("1", number, patient=patient, part10=part10, **changes)


def correct(store, came, correction=NAMES_PATIENT):
    return store.intake.keep(came, compare=lambda _before, _after: correction)


def read(store):
    """Assemble, and file a report whose SR goes to a destination."""
    revision = store.studies.assemble(store.study_id_of(STUDY))
    sr = ResultObject(
        kind=ObjectKind.SR,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        sop_instance_uid=f"2.25.{revision.revision}",
        series_instance_uid="2.25.99",
        data=b"sr",
    )
    report = FiledReport(
        revision=revision,
        status=ReportStatus.REPORTED,
        document={},
        sr_sop_instance_uid=sr.sop_instance_uid,
        sr_series_instance_uid=sr.series_instance_uid,
        completed_at=1.0,
        created_at=1.0,
    )
    store.reports.file(report, [sr], {"PACS": frozenset({ObjectKind.SR})})
    store.reports.complete(revision, [], {})
    return revision


def actions(store):
    return [link.event.action for link in store.trail.events()]


def test_a_corrected_patient_makes_a_new_revision_under_the_new_name(store):
    store.intake.keep(image())
    first = read(store)
    assert correct(store, image(patient=RIGHT, part10=b"second", accession_number="A2")) is Kept.CORRECTED
    assert store.studies.counts()[StudyState.RECEIVING] == 1
    second = store.studies.assemble(first.study_id)
    assert second.revision == 2
    study = store.studies.load(second)
    assert (study.patient, study.accession_number, study.identity_conflict) == (RIGHT, "A2", "")
    assert store.objects.get(study.instances[0].object_key) == b"second"
    assert store.corrections.names_another_patient(first.study_id, after=1, up_to=2)
    assert actions(store).count("instance.corrected") == 1
    assert "Canary" not in "".join(link.event.reason for link in store.trail.events())


def test_what_waited_under_the_wrong_name_is_not_sent_any_more(store):
    store.intake.keep(image())
    first = read(store)
    assert len(store.outbox.pending("PACS")) == 1
    correct(store, image(patient=RIGHT, part10=b"second"))
    assert store.outbox.pending("PACS") == []
    second = store.studies.assemble(first.study_id)
    assert store.reports.predecessor(second) is None, "a report that was never sent is not superseded"


def test_what_is_no_correction_of_the_patient_lets_the_old_report_go(store):
    store.intake.keep(image())
    first = read(store)
    correct(store, image(part10=b"second"), OF_THE_VIEW)
    assert [d.status for d in store.outbox.pending("PACS")] == [DeliveryStatus.PENDING]
    second = store.studies.assemble(first.study_id)
    assert not store.corrections.names_another_patient(first.study_id, after=1, up_to=second.revision)


def test_a_change_that_is_nothing_to_a_report_makes_no_revision(store):
    store.intake.keep(image())
    first = read(store)
    assert correct(store, image(part10=b"with a private element"), OF_NOTHING) is Kept.ALREADY_KEPT
    assert store.studies.counts()[StudyState.REPORTED] == 1
    assert store.studies.assemble(first.study_id) is None
    (kept,) = store.studies.load(first).instances
    assert store.objects.get(kept.object_key) == b"with a private element"


def test_until_each_image_is_corrected_the_images_are_in_conflict(store):
    store.intake.keep(image("1", part10=b"one"))
    store.intake.keep(image("2", part10=b"two"))
    first = read(store)
    correct(store, image("2", patient=RIGHT, part10=b"two again"))
    half = store.studies.load(read(store))
    assert (half.patient, bool(half.identity_conflict)) == (WRONG, True)
    correct(store, image("1", patient=RIGHT, part10=b"one again"))
    whole = store.studies.load(store.studies.assemble(first.study_id))
    assert (whole.patient, whole.identity_conflict) == (RIGHT, "")


def test_the_first_sender_does_not_undo_the_correction_of_another(store):
    store.intake.keep(image())
    read(store)
    correct(store, image(patient=RIGHT, part10=b"second", calling_ae_title="PACS"))
    assert correct(store, image()) is Kept.ALREADY_KEPT, "the modality sends its copy once more"
    assert store.studies.load(store.studies.assemble(store.study_id_of(STUDY))).patient == RIGHT
    assert correct(store, image(calling_ae_title="PACS")) is Kept.CORRECTED, "the PACS itself takes it back"


def test_a_correction_before_the_first_reading_needs_no_second_one(store):
    store.intake.keep(image())
    correct(store, image(patient=RIGHT, part10=b"second"))
    revision = store.studies.assemble(store.study_id_of(STUDY))
    assert (revision.revision, store.studies.load(revision).patient) == (1, RIGHT)
    assert store.studies.assemble(revision.study_id) is None


def test_an_object_without_image_and_an_own_result_are_never_corrections(store):
    store.intake.keep(image("sr", role=InstanceRole.FILED))
    assert correct(store, image("sr", role=InstanceRole.FILED, part10=b"x")) is Kept.CONFLICT
    store.intake.keep(image("own", role=InstanceRole.OWN_RESULT))
    assert correct(store, image("own", role=InstanceRole.OWN_RESULT, part10=b"x")) is Kept.OWN_RESULT


def test_the_same_uid_in_another_study_is_no_correction(store):
    store.intake.keep(image())
    moved = image(patient=RIGHT, part10=b"second")
    moved = replace(moved, instance=replace(moved.instance, study_instance_uid="1.2.77"))
    assert correct(store, moved) is Kept.CONFLICT


@pytest.mark.parametrize("state", ["reported", "being read"])
def test_a_late_image_of_another_patient_is_quarantined_and_nothing_is_reported_of_it(store, state):
    store.intake.keep(image())
    revision = read(store) if state == "reported" else store.studies.assemble(store.study_id_of(STUDY))
    assert store.intake.keep(image("2", patient=OTHER, part10=b"two")) is Kept.OTHER_PATIENT
    assert store.intake.keep(image("2", patient=OTHER, part10=b"two")) is Kept.OTHER_PATIENT
    (held,) = store.quarantine.held()
    assert (held.kind, held.calling_ae_title) == (QuarantineKind.OTHER_PATIENT, "MODALITY")
    assert store.studies.counts()[StudyState.RECEIVING] == 0
    assert len(store.studies.load(revision).instances) == 1
    assert actions(store).count("instance.quarantined") == 1
    assert store.intake.sop_class_of("1.2.1.2") is None, "storage commitment is not promised"
    assert store.quarantine.part10_of(held) == b"two"


def test_a_late_image_of_the_same_patient_opens_the_study(store):
    store.intake.keep(image())
    read(store)
    assert (
        store.intake.keep(image("2", patient=replace(WRONG, patient_name="Wrong^Canary^^^"), part10=b"2")) is Kept.KEPT
    )
    assert store.studies.counts()[StudyState.RECEIVING] == 1


def test_an_accepted_image_counts_as_one_of_the_patient(store):
    store.intake.keep(image())
    first = read(store)
    came = image("2", patient=OTHER, part10=b"two")
    store.intake.keep(came)
    (held,) = store.quarantine.held()
    store.intake.accept(held, came, DECISION)
    study = store.studies.load(store.studies.assemble(first.study_id))
    assert (len(study.instances), study.patient, study.identity_conflict) == (2, WRONG, "")
    assert store.quarantine.held() == []
    last = list(store.trail.events())[-1].event
    assert (last.action, last.actor) == ("quarantine.accepted", "Dr. Who")
    assert "seen at the modality" in last.reason


def test_an_accepted_picture_takes_the_place_of_the_first_and_no_result_is_reused(store):
    store.intake.keep(image())
    first = read(store)
    came = image(part10=b"another picture")
    assert store.intake.keep(came) is Kept.CONFLICT
    (held,) = store.quarantine.held()
    assert (held.kind, store.intake.sop_class_of("1.2.1.1")) == (QuarantineKind.OTHER_BYTES, None)
    store.intake.accept(held, came, DECISION)
    (kept,) = store.studies.load(store.studies.assemble(first.study_id)).instances
    assert (kept.edition, store.objects.get(kept.object_key)) == (1, b"another picture")
    assert store.intake.sop_class_of("1.2.1.1") is not None


def test_a_dropped_object_is_gone_and_does_not_come_back(store):
    store.intake.keep(image())
    store.intake.keep(image(part10=b"another picture"))
    (held,) = store.quarantine.held()
    store.quarantine.drop(held, DECISION)
    assert store.intake.keep(image(part10=b"another picture")) is Kept.CONFLICT
    assert store.quarantine.held() == []
    assert held.object_key not in set(store.objects.object_keys())
    with pytest.raises(ConfigurationError, match="was dropped"):
        store.quarantine.find(held.quarantine_id)
    with pytest.raises(ConfigurationError, match="nothing in the quarantine has the number 77"):
        store.quarantine.find(77)


def path_of(store, tmp_path):
    (kept,) = store.studies.load(store.studies.assemble(store.study_id_of(STUDY))).instances
    return tmp_path / "data" / "objects" / kept.object_key[:2] / kept.object_key


def deleted(path):
    path.unlink()


def damaged(path):
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def cut_short(path):
    path.write_bytes(path.read_bytes()[:100])


def emptied(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("lose", [deleted, damaged, cut_short, emptied])
def test_a_lost_file_is_replaced_by_the_same_bytes_and_the_trail_says_so(store, tmp_path, lose):
    store.intake.keep(image())
    lose(path_of(store, tmp_path))
    revision = store.studies.assembled()[0]
    store.studies.fail(revision, "the stored object is gone")
    assert store.intake.keep(image()) is Kept.RESTORED
    (kept,) = store.studies.load(revision).instances
    assert store.objects.get(kept.object_key) == b"first"
    assert actions(store)[-1] == "instance.restored"
    assert store.studies.assembled()[0].revision == 2, "a study that failed is read again"
    assert store.intake.keep(image()) is Kept.ALREADY_KEPT
    assert len(list(store.objects.object_keys())) == 1


def test_other_bytes_do_not_replace_a_lost_file(store, tmp_path):
    store.intake.keep(image())
    path_of(store, tmp_path).unlink()
    assert correct(store, image(part10=b"second")) is Kept.CONFLICT
    assert len(store.quarantine.held()) == 1


SR_ONLY = frozenset({ObjectKind.SR})
SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.33"


def take_all(store, transaction=None):
    """The destination takes what waits for it."""
    waiting = store.outbox.pending("PACS")
    store.outbox.mark_sent(waiting, commitment_transaction_uid=transaction)
    return [delivery.payload_id for delivery in waiting]


def late(kind, uid, revision=1):
    return ResultObject(
        kind=kind, sop_class_uid=SR_CLASS, sop_instance_uid=uid, series_instance_uid=f"2.25.9.{revision}", data=b"x"
    )


def ask_to_deliver(store, revision):
    return store.outbox.enqueue_again(revision, "PACS", SR_ONLY)


def ask_for_what_is_missing(store, revision):
    return store.outbox.enqueue_again(revision, "PACS", SR_ONLY, missing=True)


def ask_at_a_new_destination(store, revision):
    return store.outbox.enqueue_again(revision, "PACS 2", SR_ONLY)


def retry_what_was_refused(store, _revision):
    return store.outbox.redeliver_refused("PACS")


def fail_the_commitment(store, revision):
    return store.commitments.answered("2.25.7", [], [f"2.25.{revision.revision}"])


def add_a_picture(store, revision):
    store.reports.append(revision, [late(ObjectKind.SC, "2.25.88")], {"PACS": frozenset({ObjectKind.SC})})
    return len(store.outbox.pending("PACS"))


def complete_what_was_being_read(store, revision):
    store.reports.complete(revision, [late(ObjectKind.SR, "2.25.89")], {"PACS": SR_ONLY})
    return len(store.outbox.pending("PACS"))


@pytest.mark.parametrize(
    ("way", "before"),
    [
        (ask_to_deliver, "waits"),
        (ask_to_deliver, "was sent"),
        (ask_to_deliver, "was refused"),
        (ask_for_what_is_missing, "was refused"),
        (ask_at_a_new_destination, "was sent"),
        (retry_what_was_refused, "was refused"),
        (retry_what_was_refused, "is refused later"),
        (fail_the_commitment, "was sent"),
        (add_a_picture, "was sent"),
        (complete_what_was_being_read, "waits"),
    ],
)
def test_no_way_leads_back_to_what_names_the_patient_that_was_corrected(store, way, before):
    store.intake.keep(image())
    first = read(store)
    (waiting,) = store.outbox.pending("PACS")
    if before == "was sent":
        assert take_all(store, "2.25.7") == ["2.25.1"]
    if before == "was refused":
        store.outbox.set_aside(waiting, "0xA900")
    correct(store, image(patient=RIGHT, part10=b"second"))
    if before == "is refused later":
        store.outbox.set_aside(waiting, "0xA900")
    assert way(store, first) == 0, "the images are not assembled yet"
    store.studies.assemble(first.study_id)
    assert way(store, first) == 0
    assert store.outbox.pending("PACS") == store.outbox.pending("PACS 2") == []


@pytest.mark.parametrize("way", [ask_to_deliver, ask_at_a_new_destination, add_a_picture, fail_the_commitment])
def test_the_report_of_the_corrected_patient_is_sent_as_any_other(store, way):
    store.intake.keep(image())
    read(store)
    correct(store, image(patient=RIGHT, part10=b"second"))
    second = read(store)
    assert take_all(store, "2.25.7") == ["2.25.2"]
    assert way(store, second) == 1


def test_a_correction_of_something_else_keeps_no_report_back(store):
    store.intake.keep(image())
    first = read(store)
    take_all(store)
    correct(store, image(part10=b"second"), OF_THE_VIEW)
    assert ask_to_deliver(store, first) == 1


def test_what_no_note_has_rejected_is_rejected_by_the_next_one(store):
    """The note of the first correction was withdrawn by the second one before the destination took it."""
    store.intake.keep(image())
    read(store)
    assert take_all(store) == ["2.25.1"]
    correct(store, image(patient=RIGHT, part10=b"second"))
    second = read(store)
    note = frozenset({ObjectKind.REJECTION_NOTE})
    store.reports.append(second, [late(ObjectKind.REJECTION_NOTE, "2.25.77")], {"PACS": note})
    correct(store, image(patient=OTHER, part10=b"third"))
    third = read(store)
    assert [one.payload_id for one in store.reports.sent(store.study_id_of(STUDY), "PACS", before=3)] == ["2.25.1"]
    store.reports.append(third, [late(ObjectKind.REJECTION_NOTE, "2.25.78")], {"PACS": note})
    assert take_all(store) == ["2.25.3", "2.25.78"]
    assert len(store.reports.sent(store.study_id_of(STUDY), "PACS", before=3)) == 1, "the step may run twice"
    assert [one.payload_id for one in store.reports.sent(store.study_id_of(STUDY), "PACS", before=4)] == ["2.25.3"]
