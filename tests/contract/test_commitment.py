"""A PACS that answers storage commitment on the association of the request, at once (PS3.4 J.3.3.1.2)."""

import threading
import time

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt

import pipeline.deliver
from core.clock import SettableClock
from core.settings import Settings
from core.settings.destinations import DicomDestination
from core.store.studies.outbox import COMMITMENT_ATTEMPTS
from dicom_node.commitment import CommitmentRequester
from dicom_node.network.peers import Destination
from dicom_node.sop_classes import RESULT_SOP_CLASSES, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from pipeline.deliver import DeliveryLoop
from tests.contract.dicom_peers import DX
from tests.contract.test_deliver import file_sr
from tests.store_fixtures import make_store

pytestmark = pytest.mark.timeout(60)
REFERENCES = [(DX, "1.2.3.1"), (DX, "1.2.3.2")]


def information(transaction_uid, items, failed=()):
    """Event information of an N-EVENT-REPORT (PS3.4 Table J.3-2), written by hand."""
    report = Dataset()
    report.TransactionUID = transaction_uid
    report.ReferencedSOPSequence = list(items)
    if failed:
        report.FailedSOPSequence = list(failed)
    return report


class Pacs:
    """pynetdicom as it comes: keeps what it gets, and reports on a commitment request when `when` says."""

    def __init__(self, when, *, status=0x0000, fails=False, foreign=False):
        self.when, self.status, self.fails, self.foreign = when, status, fails, foreign
        self.requests, self.report_statuses = [], []
        ae = AE("PACS")
        for sop_class in (*RESULT_SOP_CLASSES, STORAGE_COMMITMENT):
            ae.add_supported_context(sop_class, ExplicitVRLittleEndian)
        handlers = [(evt.EVT_C_STORE, lambda _: 0x0000), (evt.EVT_N_ACTION, self.act)]
        self.server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)

    @property
    def port(self):
        return self.server.server_address[1]

    def act(self, event):
        self.requests.append(str(event.action_information.TransactionUID))
        if self.when == "before the response":
            self.report(event.assoc, event.action_information)
        elif self.when == "after the response":
            threading.Thread(target=self.report, args=(event.assoc, event.action_information, 0.01)).start()
        elif self.when == "later":
            threading.Thread(target=self.report, args=(event.assoc, event.action_information, 0.6)).start()
        return self.status, None

    def report(self, association, request, pause=0.0):
        time.sleep(pause)
        items = list(request.ReferencedSOPSequence)
        failed = [items.pop()] if self.fails else []
        for item in failed:
            item.FailureReason = 0x0110
        if self.foreign:
            self.send(association, information("2.25.4711", items), 1)
        self.send(association, information(request.TransactionUID, items, failed), 2 if failed else 1)

    def send(self, association, report, kind):
        status, _ = association.send_n_event_report(report, kind, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE)
        self.report_statuses.append(status.get("Status"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()


def ends(work, seconds=20.0):
    """Run `work` in a thread; fails when it does not end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), f"it still runs after {seconds:g} s"


class Answers(list):
    def __call__(self, transaction_uid, committed, failed):
        self.append((transaction_uid, list(committed), list(failed)))


def requester(pacs, answers):
    peer = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=pacs.port, answer_timeout_seconds=5.0)
    return CommitmentRequester(peer, answers)


@pytest.mark.parametrize("when", ["before the response", "after the response", "later"])
def test_the_answer_on_the_same_association_is_taken_whenever_it_comes(when):
    answers = Answers()
    with Pacs(when) as pacs:
        asked = requester(pacs, answers)

        def ask_and_close():
            asked.request("2.25.5", REFERENCES)
            deadline = time.monotonic() + 10
            while not (answers and pacs.report_statuses) and time.monotonic() < deadline:  # as `rest` does
                time.sleep(0.02)
            asked.close()

        ends(ask_and_close)
        assert answers == [("2.25.5", REFERENCES, [])]
        assert pacs.report_statuses == [0x0000]


def loop_to(tmp_path, pacs, clock):
    store = make_store(tmp_path, clock)
    destination = DicomDestination(name="PACS", ae_title="PACS", port=pacs.port, storage_commitment=True)
    settings = Settings(data_dir=tmp_path / "data", minimum_free_bytes=0, destinations=(destination,))
    file_sr(store)
    return store, DeliveryLoop(store, settings, destination, "worker")


def deliver(store, loop, *, until, seconds=10.0):
    """Tick until the state of the destination is right; returns it."""

    def work():
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not until(store.outbox.states(["PACS"])[0]):
            loop.tick()
            time.sleep(0.02)

    ends(work, seconds + 10)
    return store.outbox.states(["PACS"])[0]


@pytest.mark.parametrize("when", ["before the response", "after the response", "later"])
def test_a_report_is_committed_and_the_next_one_goes_out(tmp_path, when):
    clock = SettableClock(1_000.0)
    with Pacs(when) as pacs:
        store, loop = loop_to(tmp_path, pacs, clock)
        state = deliver(store, loop, until=lambda state: state.committed == 1)
        assert (state.pending, state.sent, state.committed) == (0, 0, 1)
        store.close()


def test_what_is_not_committed_is_sent_again_and_said(tmp_path):
    clock = SettableClock(1_000.0)
    with Pacs("before the response", fails=True) as pacs:
        store, loop = loop_to(tmp_path, pacs, clock)
        state = deliver(store, loop, until=lambda state: state.refused == 1)
        assert state.refused == 1
        assert len(pacs.requests) == COMMITMENT_ATTEMPTS
        assert store.commitments.errors()["PACS"] == "it did not commit to 1 of 1 objects; they are sent again"
        store.close()


def test_an_answer_about_another_day_is_noted_too():
    answers = Answers()
    with Pacs("before the response", foreign=True) as pacs:
        asked = requester(pacs, answers)
        ends(lambda: (asked.request("2.25.5", REFERENCES), asked.close()))
    assert [answer[0] for answer in answers] == ["2.25.4711", "2.25.5"]


def test_an_answer_that_cannot_be_noted_is_answered_with_a_failure():
    def fail(*_):
        raise OSError("the database is away")

    with Pacs("before the response") as pacs:
        asked = requester(pacs, fail)
        ends(lambda: (asked.request("2.25.5", REFERENCES), asked.close()))
    assert pacs.report_statuses == [0x0110]


@pytest.mark.parametrize("status", [0x0001, 0x0107, 0x0116, 0xB00A])
def test_a_request_that_is_taken_with_a_warning_is_taken(status):
    answers = Answers()
    with Pacs("before the response", status=status) as pacs:
        asked = requester(pacs, answers)
        ends(lambda: (asked.request("2.25.5", REFERENCES), asked.close()))
    assert len(answers) == 1


def test_a_request_that_is_refused_is_said_and_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline.deliver, "LOOK_AGAIN_SECONDS", 0.0)
    clock = SettableClock(1_000.0)
    with Pacs("before the response", status=0x0110) as pacs:
        pacs.when = "never"
        store, loop = loop_to(tmp_path, pacs, clock)
        deliver(store, loop, until=lambda _: pacs.requests)
        loop.tick()
        assert "refused the storage commitment request with 0x0110" in store.commitments.errors()["PACS"]
        assert len(pacs.requests) == 1
        assert store.commitments.overdue() == {}
        clock.advance(3_601.0)
        assert store.commitments.overdue() == {"PACS": 1}
        pacs.status, pacs.when = 0x0000, "before the response"
        state = deliver(store, loop, until=lambda state: state.committed == 1)
        assert (state.committed, store.commitments.errors()["PACS"], store.commitments.overdue()) == (1, "", {})
        store.close()


def test_an_answer_that_never_comes_is_asked_for_again_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline.deliver, "LOOK_AGAIN_SECONDS", 0.0)
    clock = SettableClock(1_000.0)
    with Pacs("never") as pacs:
        store, loop = loop_to(tmp_path, pacs, clock)
        deliver(store, loop, until=lambda _: pacs.requests)
        for _ in range(5):
            loop.tick()
        assert len(pacs.requests) == 1
        clock.advance(24 * 3_600 + 1.0)
        pacs.when = "after the response"
        state = deliver(store, loop, until=lambda state: state.committed == 1)
        assert (state.committed, len(set(pacs.requests))) == (1, 2)
        store.close()
