"""`candor retry` puts back in line what has stopped, and `candor echo` looks at folders too."""

import pytest

from api.cli.status import echo_destination, retry_all
from core.backoff import Backoff
from core.domain.report import ObjectKind, ReportStatus, ResultObject
from core.domain.study import StudyState
from core.errors import Unavailable
from core.store.store import open_store
from core.store.studies.reports import FiledReport
from dicom_node.files import receive_file
from pipeline.data_folder import make_data_folder
from pipeline.intake import StoreIntake
from tests.e2e.studies import radiograph


@pytest.fixture
def settings(tmp_path):
    destination = {"name": "out", "kind": "folder", "folder": str(tmp_path / "out")}
    return make_data_folder(tmp_path / "data", {"minimum_free_bytes": 0, "destinations": [destination]})


@pytest.fixture
def store(settings):
    store = open_store(settings)
    yield store
    store.close()


def complete_study(store, folder, number):
    image = radiograph(number, bright=True)
    path = folder / f"{number}.dcm"
    path.write_bytes(image.part10)
    intake = StoreIntake(store, node="test")
    intake.association_opened(str(number), "MODALITY", "127.0.0.1")
    intake.keep(receive_file(path, association_id=str(number), calling_ae_title="MODALITY"))
    revision = store.studies.assemble(store.study_id_of(image.study_instance_uid))
    store.studies.begin_reading([revision])
    return revision


def report_with_one_object(store, revision):
    sr = ResultObject(
        kind=ObjectKind.SR,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        sop_instance_uid="2.25.1",
        series_instance_uid="2.25.2",
        data=b"sr",
    )
    report = FiledReport(
        revision=revision,
        status=ReportStatus.REPORTED,
        document={},
        sr_sop_instance_uid="2.25.1",
        sr_series_instance_uid="2.25.2",
        completed_at=1.0,
        created_at=2.0,
    )
    store.reports.file(report, [sr], {"out": frozenset({ObjectKind.SR})})


def test_retry_puts_failed_studies_refused_objects_and_paused_destinations_back_in_line(store, settings, tmp_path):
    store.studies.fail(complete_study(store, tmp_path, 1), "the model runner died")
    report_with_one_object(store, complete_study(store, tmp_path, 2))
    [delivery] = store.outbox.pending("out")
    store.outbox.set_aside(delivery, "refused with 0xA900")
    store.outbox.pause("out", "is away", backoff=Backoff(first_seconds=300, longest_seconds=300))
    assert store.outbox.pending("out") == []

    assert retry_all(store, settings) == "1 failed study and 1 refused object will be tried again"

    assert store.studies.counts()[StudyState.FAILED] == 0
    assert [d.delivery_id for d in store.outbox.pending("out")] == [delivery.delivery_id]
    assert retry_all(store, settings) == "0 failed studies and 0 refused objects will be tried again"


def test_a_folder_is_there_when_it_can_be_written(settings, tmp_path):
    with pytest.raises(Unavailable, match="make it"):
        echo_destination(settings, "out")
    (tmp_path / "out").mkdir()
    assert echo_destination(settings, "out").endswith("can be written")
