"""The outbox keeps order, pauses a destination that is away and holds up no other."""

from dataclasses import replace

import pytest

from core.backoff import Backoff
from core.clock import SettableClock
from core.domain.delivery import DeliveryStatus
from core.domain.report import ObjectKind, ReportStatus, ResultObject
from core.domain.study import StudyState
from core.errors import DiskFull
from core.store.store import open_store
from core.store.studies.outbox import COMMITMENT_ATTEMPTS
from core.store.studies.reports import FiledReport
from core.store.studies.revisions import Revision
from tests.store_fixtures import arrival, make_store, store_settings

BACKOFF = Backoff(first_seconds=1.0, longest_seconds=5.0)
KINDS = frozenset({ObjectKind.SR, ObjectKind.SC})


@pytest.fixture
def clock():
    return SettableClock(1_000.0)


@pytest.fixture
def store(tmp_path, clock):
    store = make_store(tmp_path, clock)
    yield store
    store.close()


def result(revision: Revision, kind: ObjectKind) -> ResultObject:
    return ResultObject(
        kind=kind,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        sop_instance_uid=f"2.25.{revision.revision}.{sum(kind.encode())}.{sum(revision.study_id.encode())}",
        series_instance_uid="2.25.1",
        data=f"{kind} of {revision.report_id}".encode(),
    )


def file_report(store, study, *, destinations=("PACS",)):
    revision = store.studies.assemble(store.study_id_of(f"1.2.{study}"))
    assert revision is not None
    return file_again(store, revision, destinations=destinations)


def file_again(store, revision, *, destinations=("PACS",)):
    store.studies.begin_reading([revision])
    objects = [result(revision, ObjectKind.SR), result(revision, ObjectKind.SC)]
    report = FiledReport(
        revision=revision,
        status=ReportStatus.REPORTED,
        document={"reason": ""},
        sr_sop_instance_uid=objects[0].sop_instance_uid,
        sr_series_instance_uid="2.25.1",
        completed_at=1.0,
        created_at=2.0,
    )
    wanted = dict.fromkeys(destinations, KINDS)
    store.reports.file(report, objects[:1], wanted)
    store.reports.complete(revision, objects[1:], wanted)
    return revision


def keep_and_file(store, study, **options):
    store.intake.keep(arrival(study, "1"))
    return file_report(store, study, **options)


def test_deliveries_wait_in_the_order_of_filing(store):
    first, second = keep_and_file(store, "1"), keep_and_file(store, "2")
    waiting = store.outbox.pending("PACS")
    assert [d.study_id for d in waiting] == [first.study_id] * 2 + [second.study_id] * 2
    assert [d.kind for d in waiting[:2]] == [ObjectKind.SR, ObjectKind.SC]
    assert store.objects.get(waiting[0].object_key) == f"sr of {first.report_id}".encode()


def test_what_was_appended_for_one_destination_goes_to_another_that_asks_later(store):
    revision = keep_and_file(store, "1", destinations=())
    extra = [replace(result(revision, ObjectKind.SC), sop_instance_uid="2.25.77")]
    store.reports.append(revision, extra, {"FIRST": KINDS})
    kept = sorted(store.objects.object_keys())
    for _ in range(2):
        store.reports.append(revision, extra, {"SECOND": KINDS})
        store.reports.append(revision, extra, {"THIRD": frozenset({ObjectKind.SR})})
    (first,), (second,) = store.outbox.pending("FIRST"), store.outbox.pending("SECOND")
    assert first.object_key == second.object_key
    assert store.outbox.pending("THIRD") == []
    assert sorted(store.objects.object_keys()) == kept


def test_filing_twice_changes_nothing(store):
    revision = keep_and_file(store, "1")
    before = sorted(store.objects.object_keys())
    file_again(store, revision)
    assert len(store.outbox.pending("PACS")) == 2
    assert sorted(store.objects.object_keys()) == before
    assert store.studies.counts()[StudyState.REPORTED] == 1


def test_a_destination_that_is_away_pauses_longer_each_time_and_alone(store, clock):
    keep_and_file(store, "1", destinations=("PACS", "OTHER"))
    pauses = [store.outbox.pause("PACS", "refused", backoff=BACKOFF) for _ in range(4)]
    assert pauses == [1.0, 2.0, 4.0, 5.0]
    assert store.outbox.pending("PACS") == []
    assert len(store.outbox.pending("OTHER")) == 2
    clock.advance(5.1)
    assert len(store.outbox.pending("PACS")) == 2


def test_what_was_sent_is_not_pending_and_ends_the_pause(store, clock):
    keep_and_file(store, "1")
    store.outbox.pause("PACS", "refused", backoff=BACKOFF)
    clock.advance(2.0)
    store.outbox.mark_sent(store.outbox.pending("PACS"))
    (state,) = store.outbox.states(["PACS"])
    assert (state.pending, state.sent, state.failures, state.last_error) == (0, 2, 0, "")
    assert state.last_success_at == clock()


def test_a_refused_object_is_set_aside_and_can_be_sent_again(store):
    keep_and_file(store, "1")
    first, second = store.outbox.pending("PACS")
    store.outbox.set_aside(first, "0122: SOP class not supported")
    assert store.outbox.pending("PACS") == [replace(second)]
    assert store.outbox.redeliver_refused("PACS") == 1
    assert len(store.outbox.pending("PACS")) == 2


def test_commitment_is_recorded_and_what_is_not_committed_is_sent_again(store):
    keep_and_file(store, "1")
    first, second = store.outbox.pending("PACS")
    store.outbox.mark_sent([first, second], commitment_transaction_uid="2.25.9")
    assert store.outbox.mark_committed("2.25.9", [first.payload_id]) == 1
    assert store.outbox.send_again("2.25.9", [second.payload_id]) == 1
    (state,) = store.outbox.states(["PACS"])
    assert (state.committed, state.pending) == (1, 1)
    assert store.outbox.pending("PACS")[0].status is DeliveryStatus.PENDING


def test_an_sr_that_is_sent_nowhere_is_no_predecessor(store):
    keep_and_file(store, "1", destinations=())
    store.intake.keep(arrival("1", "late"))
    second = file_report(store, "1")
    assert store.reports.predecessor(second) is None


def test_an_object_that_is_never_committed_is_not_sent_for_ever(store):
    keep_and_file(store, "1")
    sendings = 0
    while (waiting := store.outbox.pending("PACS")) and sendings < 50:
        sendings += 1
        store.outbox.mark_sent(waiting, commitment_transaction_uid=f"2.25.{sendings}")
        store.outbox.send_again(f"2.25.{sendings}", [d.payload_id for d in waiting])
    assert sendings == COMMITMENT_ATTEMPTS
    assert store.outbox.states(["PACS"])[0].refused == 2


def test_the_watermark_turns_senders_away_and_not_reports(tmp_path, clock):
    store = make_store(tmp_path, clock)
    store.intake.keep(arrival("1", "1"))
    full = open_store(store_settings(tmp_path, minimum_free_bytes=2**62), now=clock)
    with pytest.raises(DiskFull):
        full.intake.keep(arrival("2", "1"))
    file_report(full, "1")
    assert len(full.outbox.pending("PACS")) == 2


def test_a_report_supersedes_the_one_before(store):
    first = keep_and_file(store, "1")
    store.intake.keep(arrival("1", "late"))
    second = file_report(store, "1")
    assert store.reports.predecessor(second).revision == first
    assert store.reports.current(first.study_id).revision == second
    assert store.reports.predecessor(first) is None


def test_our_own_results_are_recognised(store):
    keep_and_file(store, "1")
    assert store.intake.is_own_result(store.outbox.pending("PACS")[0].payload_id)
    assert not store.intake.is_own_result("1.2.1.1")


def test_a_lease_has_one_holder_until_it_expires(store, clock):
    assert store.leases.acquire("destination/PACS", "a", 10.0)
    assert store.leases.acquire("destination/PACS", "a", 10.0)
    assert not store.leases.acquire("destination/PACS", "b", 10.0)
    clock.advance(11.0)
    assert store.leases.acquire("destination/PACS", "b", 10.0)
    store.leases.release("destination/PACS", "b")
    assert store.leases.acquire("destination/PACS", "a", 10.0)
