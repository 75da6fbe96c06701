"""One object that a PACS always fails on does not hold up the others for ever."""

import pytest
from pynetdicom import AE, evt

import pipeline.deliver
from core.clock import SettableClock
from core.domain.report import ObjectKind
from core.settings import Settings
from core.settings.destinations import DicomDestination
from dicom_node.sop_classes import RESULT_SOP_CLASSES
from pipeline.deliver import DeliveryLoop
from tests.contract.encode.cases import report
from tests.store_fixtures import arrival, make_store


def sr_of():
    from dicom_node.encode import encode

    (sr,) = encode(report(), sources={}, images={}, kinds={ObjectKind.SR})
    return sr


@pytest.fixture(params=[0x0110])
def pacs(request):
    ae = AE("PACS")
    for sop_class in RESULT_SOP_CLASSES:
        ae.add_supported_context(sop_class)
    answers = []

    def answer(event):
        answers.append(event.request.AffectedSOPInstanceUID)
        return request.param

    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    yield server.server_address[1], answers
    server.shutdown()


def test_an_object_that_the_pacs_always_fails_on_is_set_aside(tmp_path, pacs, monkeypatch):
    port, answers = pacs
    monkeypatch.setattr(pipeline.deliver, "ATTEMPTS", 3)
    state = state_after_six_attempts(tmp_path, port)
    assert (state.refused, state.pending) == (1, 0)
    assert len(answers) == 3


@pytest.mark.parametrize("pacs", [0xA700], indirect=True)
def test_a_full_disk_at_the_pacs_is_waited_for_however_long_it_lasts(tmp_path, pacs, monkeypatch):
    port, answers = pacs
    monkeypatch.setattr(pipeline.deliver, "ATTEMPTS", 3)
    state = state_after_six_attempts(tmp_path, port)
    assert (state.refused, state.pending, state.failures) == (0, 1, 6)
    assert state.last_error == "PACS answered refused with 0xA700: out of resources"
    assert len(answers) == 6


@pytest.mark.parametrize("pacs", [0xA900], indirect=True)
def test_an_object_that_the_pacs_will_never_take_is_set_aside_at_once_with_the_reason(tmp_path, pacs):
    port, answers = pacs
    state = state_after_six_attempts(tmp_path, port)
    assert (state.refused, state.pending) == (1, 0)
    assert len(answers) == 1


def state_after_six_attempts(tmp_path, port):
    clock = SettableClock(1_000.0)
    store = make_store(tmp_path, clock)
    destination = DicomDestination(name="PACS", ae_title="PACS", port=port)
    settings = Settings(data_dir=tmp_path / "data", minimum_free_bytes=0, destinations=(destination,))
    file_sr(store)
    loop = DeliveryLoop(store, settings, destination, "worker")
    for _ in range(6):
        loop.tick()
        clock.advance(1_000.0)
    (state,) = store.outbox.states(["PACS"])
    store.close()
    return state


def file_sr(store):
    from core.domain.report import ReportStatus
    from core.store.studies.reports import FiledReport

    store.intake.keep(arrival("1", "1"))
    revision = store.studies.assemble(store.study_id_of("1.2.1"))
    sr = sr_of()
    filed = FiledReport(
        revision=revision,
        status=ReportStatus.REPORTED,
        document={"reason": ""},
        sr_sop_instance_uid=sr.sop_instance_uid,
        sr_series_instance_uid=sr.series_instance_uid,
        completed_at=1.0,
        created_at=2.0,
    )
    store.reports.file(filed, [sr], {"PACS": frozenset({ObjectKind.SR})})
