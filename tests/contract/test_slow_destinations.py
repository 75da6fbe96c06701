"""A destination that answers wrongly, slowly or not at all costs a limited time, and is called again later."""

import socket
import struct
import threading
import time
from contextlib import contextmanager

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE

from core.clock import SettableClock
from core.errors import Unavailable
from core.settings import Settings
from core.settings.destinations import DicomDestination
from dicom_node.network.peers import Destination
from dicom_node.send import echo, open_association
from dicom_node.sop_classes import RESULT_SOP_CLASSES, VERIFICATION
from pipeline.deliver import DeliveryLoop
from tests.contract.dicom_peers import DX, dx_dataset, part10
from tests.contract.test_deliver import file_sr
from tests.store_fixtures import make_store

pytestmark = [pytest.mark.alone, pytest.mark.timeout(90)]
LIMIT = 1.0  # seconds for an answer
SLACK = 4.0  # and for the end of an association, on a busy machine


@contextmanager
def pacs(answer):
    """pynetdicom as it comes; `answer` gets each C-STORE."""
    ae = AE("PACS")
    for sop_class in (DX, VERIFICATION, *RESULT_SOP_CLASSES):
        ae.add_supported_context(sop_class, ExplicitVRLittleEndian)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


class Wire:
    """A line to a PACS: what comes back from there, from byte `start` on, goes through `mangle` (None: hold it)."""

    def __init__(self, port, mangle, *, start=0):
        self.port_behind, self.mangle, self.start = port, mangle, start
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.ends = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def port(self):
        return self.listener.getsockname()[1]

    def accept(self):
        while not self.ends.is_set():
            try:
                ours, _ = self.listener.accept()
            except OSError:
                return
            behind = socket.create_connection(("127.0.0.1", self.port_behind))
            threading.Thread(target=self.forth, args=(ours, behind), daemon=True).start()
            threading.Thread(target=self.back, args=(behind, ours), daemon=True).start()

    def forth(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass

    def back(self, source, target):
        passed = 0
        try:
            while data := source.recv(65536):
                well, ill = data[: max(0, self.start - passed)], data[max(0, self.start - passed) :]
                target.sendall(well)
                passed += len(well)
                if ill:
                    self.mangle(ill, target, self.ends)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.listener.close()


def stop_in_mid_pdu(data, target, ends):
    target.sendall(data[:9])
    ends.wait(30)


def say_nothing(_data, _target, ends):
    ends.wait(30)


def drip(data, target, ends):
    for byte in data:
        target.sendall(bytes([byte]))
        if ends.wait(0.4):
            return


def announce_four_gigabytes(_data, target, ends):
    target.sendall(struct.pack(">BBL", 4, 0, 0xFFFFFFFF) + bytes(100))
    ends.wait(30)


def drip_small_pdus(_data, target, ends):
    """Whole P-DATA-TF PDUs that hold the beginning of a command and never its end."""
    while not ends.wait(0.2):
        target.sendall(struct.pack(">BBLLBB", 4, 0, 7, 3, 1, 1) + b"\x00")


def to(port, limit=LIMIT):
    return Destination(
        name="east", ae_title="PACS", host="127.0.0.1", port=port, calling_ae_title="CANDOR",
        answer_timeout_seconds=limit, connect_timeout_seconds=limit,
    )  # fmt: skip


def size_of_acceptance(port):
    """How many bytes the answer to our A-ASSOCIATE-RQ has, measured on the line."""
    seen = []

    def pass_on(data, target, _ends):
        seen.append(data)
        target.sendall(data)

    with Wire(port, pass_on) as wire, open_association(to(wire.port), [DX]):
        return sum(map(len, seen))


def fails_in_time(work, words):
    """Run `work` in a thread; it must raise Unavailable with these words within the limit."""
    raised = []

    def run():
        try:
            work()
        except Unavailable as error:
            raised.append(str(error))

    start = time.monotonic()
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT + 2 * SLACK)
    assert not thread.is_alive(), "it waits still"
    assert words in "".join(raised)
    assert time.monotonic() - start < LIMIT + SLACK


def send_one(port, data=None):
    with open_association(to(port), [DX]) as sender:
        sender.send(data or part10(dx_dataset()))


MANGLERS = [stop_in_mid_pdu, say_nothing, drip, announce_four_gigabytes]


@pytest.mark.parametrize("mangle", [*MANGLERS, drip_small_pdus])
def test_an_answer_that_does_not_come_costs_only_the_limit(mangle):
    before = requesters()  # of other files: what they leave open is not asked here
    with pacs(lambda _: 0x0000) as port, Wire(port, mangle, start=size_of_acceptance(port)) as wire:
        fails_in_time(lambda: send_one(wire.port), "destination east")
    deadline = time.monotonic() + 10
    while requesters() - before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not requesters() - before


def requesters():
    """The threads of associations that this process opened."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("RequestorThread")}


@pytest.mark.parametrize("mangle", MANGLERS)
def test_an_association_that_is_not_answered_costs_only_the_limit(mangle):
    with pacs(lambda _: 0x0000) as port, Wire(port, mangle) as wire:
        fails_in_time(lambda: echo(to(wire.port)), "east")


def test_a_peer_that_reads_nothing_costs_only_the_limit():
    class Deaf(Wire):
        def forth(self, source, target):
            target.sendall(source.recv(65536))  # the association, and nothing more
            self.ends.wait(30)

    with pacs(lambda _: 0x0000) as port, Deaf(port, say_nothing, start=size_of_acceptance(port)) as wire:
        wide = part10(dx_dataset(Rows=3000, Columns=4000, PixelData=bytes(24_000_000)))
        fails_in_time(lambda: send_one(wire.port, wide), "destination east")


def answering_with(keyword, value):
    """An SCP whose responses have another value in one element."""

    def answer(event):
        send = event.assoc.dimse.send_msg

        def send_changed(response, context_id):
            setattr(response, keyword, value)
            send(response, context_id)

        event.assoc.dimse.send_msg = send_changed
        return 0x0000

    return answer


with_another_message_id = answering_with("MessageIDBeingRespondedTo", 4711)
for_another_instance = answering_with("AffectedSOPInstanceUID", "1.2.826.0.1.3680043.10.543.99")


def with_pending(_event):
    return 0xFF00


@pytest.mark.parametrize("answer", [with_another_message_id, for_another_instance])
def test_an_answer_for_something_else_is_not_this_objects_answer(answer):
    with pacs(answer) as port:
        fails_in_time(lambda: send_one(port), "answered for another object or message")


def test_a_pending_answer_is_none():
    with pacs(with_pending) as port:
        fails_in_time(lambda: send_one(port), "answered 0xFF00")


def test_the_right_answer_after_a_wrong_one_counts():
    def answer(event):
        wrong = C_STORE()
        wrong.MessageID = wrong.MessageIDBeingRespondedTo = event.request.MessageID + 7
        wrong.AffectedSOPClassUID, wrong.AffectedSOPInstanceUID = DX, event.request.AffectedSOPInstanceUID
        wrong.Status = 0xA900
        event.assoc.dimse.send_msg(wrong, event.context.context_id)
        return 0x0000

    with pacs(answer) as port, open_association(to(port), [DX]) as sender:
        assert sender.send(part10(dx_dataset())).status == 0x0000


def deliver_until(loop, store, clock, right, seconds=30.0):
    """Tick in a thread until the state of the destination is right; returns that state."""
    done = threading.Event()

    def run():
        while not done.is_set():
            loop.tick()
            clock.advance(600.0)
            time.sleep(0.02)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    deadline = time.monotonic() + seconds
    while not right(state := store.outbox.states(["PACS"])[0]) and time.monotonic() < deadline:
        time.sleep(0.05)
    done.set()
    thread.join(LIMIT + SLACK)
    assert not thread.is_alive()
    return state


@pytest.mark.parametrize("mangle", [stop_in_mid_pdu, drip, drip_small_pdus])
def test_delivery_goes_on_when_the_pacs_is_well_again(tmp_path, mangle, monkeypatch):
    monkeypatch.setattr(Destination.__init__, "__kwdefaults__", short(Destination.__init__.__kwdefaults__))
    is_ill = threading.Event()
    is_ill.set()

    def ill_for_a_while(data, target, ends):
        mangle(data, target, ends) if is_ill.is_set() else target.sendall(data)

    with pacs(lambda _: 0x0000) as port, Wire(port, ill_for_a_while, start=size_of_acceptance(port)) as wire:
        clock = SettableClock(1_000.0)
        store = make_store(tmp_path, clock)
        destination = DicomDestination(name="PACS", ae_title="PACS", port=wire.port)
        settings = Settings(data_dir=tmp_path / "data", minimum_free_bytes=0, destinations=(destination,))
        file_sr(store)
        loop = DeliveryLoop(store, settings, destination, "worker")
        state = deliver_until(loop, store, clock, lambda state: state.failures >= 2)
        assert state.failures >= 2
        assert "destination PACS" in state.last_error
        is_ill.clear()
        state = deliver_until(loop, store, clock, lambda state: state.sent == 1)
        assert (state.sent, state.pending, state.last_error) == (1, 0, "")
        store.close()


def short(defaults):
    return {**defaults, "answer_timeout_seconds": LIMIT, "connect_timeout_seconds": LIMIT}
