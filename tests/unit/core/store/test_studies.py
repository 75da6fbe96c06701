"""When is a study complete, what does a revision hold, and what opens it again?"""

from dataclasses import replace
from datetime import datetime

import pytest

from core.clock import SettableClock
from core.domain.states import TRANSITIONS, check_transition
from core.domain.study import Patient, StudyState
from core.errors import IntegrityError
from core.store.studies.arrivals import InstanceRole, Kept
from core.store.studies.revisions import Revision, StudyStore
from tests.store_fixtures import arrival, make_store

RULE = {"quiet_seconds": 2.0, "maximum_wait_seconds": 60.0}


@pytest.fixture
def clock():
    return SettableClock(1_000.0)


@pytest.fixture
def store(tmp_path, clock):
    store = make_store(tmp_path, clock)
    store.intake.open_association("a1", node="n", calling_ae_title="MODALITY", address="127.0.0.1")
    yield store
    store.close()


def test_a_study_is_complete_when_its_association_closed_and_it_was_quiet(store, clock):
    store.intake.keep(arrival("1", "1"))
    clock.advance(3.0)
    assert store.studies.due(**RULE) == []  # the association is open
    store.intake.close_association("a1")
    assert store.studies.due(**RULE) == [store.study_id_of("1.2.1")]


def test_the_trail_takes_its_times_from_the_clock_of_the_store(store, clock):
    store.intake.keep(arrival("1", "1"))
    clock.advance(3_600.0)
    store.intake.keep(arrival("1", "2"))
    times = [datetime.fromisoformat(link.at).timestamp() for link in store.trail.events()]
    assert times == [1_000.0, 4_600.0]


def test_quiet_counts_from_the_last_image(store, clock):
    store.intake.keep(arrival("1", "1"))
    clock.advance(1.5)
    store.intake.keep(arrival("1", "2"))
    store.intake.close_association("a1")
    clock.advance(1.5)
    assert store.studies.due(**RULE) == []
    clock.advance(0.6)
    assert len(store.studies.due(**RULE)) == 1


@pytest.mark.parametrize("jump", [-3_600.0, -86_400.0])
def test_a_wall_clock_that_jumps_back_holds_no_study_up(store, clock, jump):
    steady = SettableClock()
    studies = StudyStore(store.engine, now=clock, steady=steady)
    store.intake.keep(arrival("1", "1"))
    store.intake.close_association("a1")
    assert studies.due(**RULE) == []
    clock.advance(jump)
    assert studies.due(**RULE) == []
    steady.advance(1.9)
    assert studies.due(**RULE) == []
    steady.advance(0.2)
    assert studies.due(**RULE) == [store.study_id_of("1.2.1")]


def test_a_worker_that_starts_after_the_clock_jumped_back_waits_no_longer_than_the_rule(store, clock):
    store.intake.keep(arrival("1", "1"))
    store.intake.close_association("a1")
    clock.advance(-3_600.0)
    steady = SettableClock()
    studies = StudyStore(store.engine, now=clock, steady=steady)
    assert studies.due(**RULE) == []
    steady.advance(2.1)
    assert len(studies.due(**RULE)) == 1


def test_a_wall_clock_that_jumps_back_does_not_stretch_the_maximum_wait(store, clock):
    steady = SettableClock()
    studies = StudyStore(store.engine, now=clock, steady=steady)
    store.intake.keep(arrival("1", "1"))  # its association stays open
    assert studies.due(**RULE) == []
    clock.advance(-3_600.0)
    steady.advance(61.0)
    assert len(studies.due(**RULE)) == 1


def test_a_wall_clock_that_jumps_forward_ends_no_study_early(store, clock):
    steady = SettableClock()
    studies = StudyStore(store.engine, now=clock, steady=steady)
    store.intake.keep(arrival("1", "1"))
    store.intake.close_association("a1")
    assert studies.due(**RULE) == []
    clock.advance(3_600.0)
    steady.advance(1.0)
    assert studies.due(**RULE) == []


def test_a_sender_that_went_on_to_another_study_is_done_with_the_first(store, clock):
    store.intake.keep(arrival("1", "1"))
    store.intake.keep(arrival("2", "1"))
    clock.advance(2.5)
    assert store.studies.due(**RULE) == [store.study_id_of("1.2.1")]


def test_the_expected_count_completes_a_study_at_once(store):
    store.intake.keep(arrival("1", "1", expected_instances=2))
    assert store.studies.due(**RULE) == []
    store.intake.keep(arrival("1", "2", expected_instances=2))
    assert len(store.studies.due(**RULE)) == 1


def test_the_maximum_wait_completes_a_study_whatever_the_sender_does(store, clock):
    store.intake.keep(arrival("1", "1"))
    clock.advance(61.0)
    assert len(store.studies.due(**RULE)) == 1


def test_a_node_that_starts_again_has_no_open_associations(store, clock):
    store.intake.keep(arrival("1", "1"))
    clock.advance(3.0)
    store.intake.close_associations_of("n")
    assert len(store.studies.due(**RULE)) == 1


def test_a_revision_holds_what_had_arrived_and_a_late_image_makes_the_next(store):
    store.intake.keep(arrival("1", "1"))
    first = store.studies.assemble(store.study_id_of("1.2.1"))
    store.intake.keep(arrival("1", "2"))
    end_reading(store, first)
    second = store.studies.assemble(store.study_id_of("1.2.1"))
    assert (first.revision, second.revision) == (1, 2)
    images = [len(store.studies.load(revision).series[0].instances) for revision in (first, second)]
    assert images == [1, 2]


def end_reading(store, revision):
    store.studies.begin_reading([revision])
    store.studies.fail(revision, "whatever the outcome, the reading has ended")


def test_revisions_of_a_study_follow_each_other(store, clock):
    store.intake.keep(arrival("1", "1"))
    study = store.study_id_of("1.2.1")
    first = store.studies.assemble(study)
    store.intake.keep(arrival("1", "late"))
    clock.advance(99.0)
    assert store.studies.due(**RULE) == []
    assert store.studies.assemble(study) is None
    assert store.studies.assembled() == [first]
    end_reading(store, first)
    assert store.studies.due(**RULE) == [study]
    assert store.studies.assemble(study).revision == 2


def test_a_sender_that_counts_wrong_does_not_cause_a_report_for_each_image(store):
    for number in range(4):
        store.intake.keep(arrival("1", str(number), expected_instances=2))
    assert store.studies.due(**RULE) == []


def test_assembling_twice_gives_one_revision(store):
    store.intake.keep(arrival("1", "1"))
    study = store.study_id_of("1.2.1")
    assert store.studies.assemble(study) == Revision(study_id=study, revision=1)
    assert store.studies.assemble(study) is None


def test_a_late_image_reopens_a_study_and_an_overtaken_reading_does_not_close_it(store):
    store.intake.keep(arrival("1", "1"))
    revision = store.studies.assemble(store.study_id_of("1.2.1"))
    store.studies.begin_reading([revision])
    store.intake.keep(arrival("1", "2"))
    store.studies.fail(revision, "the disk burnt")
    assert store.studies.counts()[StudyState.RECEIVING] == 1
    assert store.studies.counts()[StudyState.FAILED] == 0


def test_objects_without_images_and_own_results_open_nothing(store, clock):
    store.intake.keep(arrival("1", "1"))
    store.studies.assemble(store.study_id_of("1.2.1"))
    store.intake.keep(arrival("1", "sr", role=InstanceRole.FILED))
    assert store.intake.keep(arrival("1", "own", role=InstanceRole.OWN_RESULT)) is Kept.OWN_RESULT
    store.intake.close_association("a1")
    clock.advance(99.0)
    assert store.studies.due(**RULE) == []


def test_the_same_object_again_is_kept_once_and_other_bytes_are_quarantined(store):
    assert store.intake.keep(arrival("1", "1")) is Kept.KEPT
    assert store.intake.keep(arrival("1", "1")) is Kept.ALREADY_KEPT
    assert store.intake.keep(arrival("1", "1", part10=b"something else")) is Kept.CONFLICT
    assert store.intake.keep(arrival("1", "1", part10=b"something else")) is Kept.CONFLICT
    assert len(list(store.objects.object_keys())) == 2
    assert store.trail.verify() == []


def test_a_failed_study_can_be_read_again(store):
    store.intake.keep(arrival("1", "1"))
    revision = store.studies.assemble(store.study_id_of("1.2.1"))
    store.studies.begin_reading([revision])
    store.studies.fail(revision, "out of memory")
    assert store.studies.assembled() == []
    assert store.studies.retry_failed() == 1
    (again,) = store.studies.assembled()
    assert again.revision == revision.revision + 1
    assert len(store.studies.load(again).series[0].instances) == 1


def test_a_state_that_cannot_follow_is_refused():
    with pytest.raises(IntegrityError):
        check_transition(StudyState.RECEIVING, StudyState.REPORTED)
    assert set(TRANSITIONS) == set(StudyState)


def test_nothing_readable_is_on_disk(store, tmp_path):
    store.intake.keep(arrival("1", "1", part10=b"Canary^Name " * 1000))
    store.close()
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert b"Canary" not in path.read_bytes(), path.name


def test_a_study_knows_every_instance_of_every_series(store, clock):
    for series, instance in (("5", "1"), ("6", "1"), ("5", "2")):
        arrived = arrival("1", f"{series}.{instance}")
        header = replace(arrived.instance, series_instance_uid=f"1.2.1.{series}")
        store.intake.keep(replace(arrived, instance=header))
    study = store.studies.load(store.studies.assemble(store.study_id_of("1.2.1")))
    assert len(study.series) == 2
    assert [i.sop_instance_uid for i in study.instances] == ["1.2.1.5.1", "1.2.1.5.2", "1.2.1.6.1"]


def test_a_revision_knows_the_order_of_arrival_whatever_its_series_are_called(store):
    late_series, early_series = "1.2.1.9", "1.2.1.5"
    for number, series in enumerate((late_series, early_series), start=1):
        came = arrival("1", str(number))
        store.intake.keep(replace(came, instance=replace(came.instance, series_instance_uid=series)))
    images = store.studies.load(store.studies.assemble(store.study_id_of("1.2.1"))).instances
    by_arrival = sorted(images, key=lambda image: image.arrival)
    assert [image.sop_instance_uid for image in by_arrival] == ["1.2.1.1", "1.2.1.2"]
    assert images[0].sop_instance_uid == "1.2.1.2", "series are in the order of their UIDs"


@pytest.mark.parametrize(
    ("other", "conflict"),
    [
        (Patient(), ""),
        (Patient(patient_id="P1", issuer_of_patient_id="SITE"), ""),
        (Patient(patient_id="P1"), ""),
        (Patient(patient_id="P2"), "(PatientID)"),
        (Patient(patient_id="P1", issuer_of_patient_id="B"), "(IssuerOfPatientID)"),
        (Patient(patient_id="P1", patient_name="Other^Canary", patient_sex="M"), "(PatientName, PatientSex)"),
        (Patient(patient_name="Other^Canary"), "(PatientName)"),
        (Patient(patient_name="CANARY^name^^^=x"), ""),
    ],
)
def test_images_that_name_different_patients_are_in_conflict(store, other, conflict):
    first = Patient(patient_id="P1", issuer_of_patient_id="SITE", patient_name="Canary^Name", patient_sex="F")
    for number, patient in enumerate((first, other)):
        store.intake.keep(arrival("1", str(number), patient=patient))
    study = store.studies.load(store.studies.assemble(store.study_id_of("1.2.1")))
    assert study.patient == first
    assert study.identity_from == "1.2.1.0"
    assert study.identity_conflict.endswith(conflict)
    assert bool(study.identity_conflict) == bool(conflict)
    assert "Canary" not in study.identity_conflict
