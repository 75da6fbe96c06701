"""The main job, through the door: C-STORE in, SR out, with every process and socket real."""

from core.domain.study import StudyState
from tests.e2e.house import wait_until
from tests.e2e.reports import GSPS, SC, SEG, SR, arrived, classes_of, holds_text, reports_by_study
from tests.e2e.studies import PATCH, radiograph, same_study, send


def run_node_and_worker(house):
    house.start("worker")
    house.start("node")
    house.wait_ready()


def wait_for_objects(archive, count, *, seconds=60.0):
    """The SR comes first, pictures after: wait for all of them."""
    wait_until(lambda: len(archive.filed) >= count, seconds=seconds, what=f"{count} objects at the archive")


def test_a_study_arrives_and_its_report_is_back_in_the_pacs(house, archive):
    run_node_and_worker(house)
    normal, bright = radiograph(1, bright=False), radiograph(2, bright=True)
    send([normal, bright], house.port)
    wait_for_objects(archive, 5)
    objects = arrived(archive)
    assert classes_of(objects, normal.study_instance_uid) == {SR}
    assert classes_of(objects, bright.study_instance_uid) == {SR, SC, GSPS, SEG}
    report = reports_by_study(archive)[bright.study_instance_uid][0]
    assert (report.VerificationFlag, report.CompletionFlag) == ("UNVERIFIED", "COMPLETE")
    assert str(report.PatientName) == "Canary^Name2"


def test_the_segmentation_is_where_the_patch_was_planted(house, archive):
    run_node_and_worker(house)
    send([radiograph(1, bright=True)], house.port)
    wait_for_objects(archive, 4)
    mask = next(d for d in arrived(archive) if d.SOPClassUID == SEG).pixel_array
    rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
    top, bottom, left, right = PATCH
    margin = 32  # one pooling window of the known model
    assert top - margin <= rows.min() <= top + margin
    assert bottom - margin <= rows.max() <= bottom + margin
    assert left - margin <= columns.min() <= left + margin
    assert right - margin <= columns.max() <= right + margin


def test_a_late_image_gives_a_report_that_supersedes_the_first(house, archive):
    run_node_and_worker(house)
    first = radiograph(1, bright=False)
    send([first], house.port)
    wait_for_objects(archive, 1)
    send([same_study(first, 2, bright=True)], house.port)
    wait_until(
        lambda: len(reports_by_study(archive)[first.study_instance_uid]) == 2, seconds=30, what="the second report"
    )
    before, after = reports_by_study(archive)[first.study_instance_uid]
    predecessor = after.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert predecessor.ReferencedSOPInstanceUID == before.SOPInstanceUID


def test_our_own_results_come_back_and_nothing_is_read_again(house, archive):
    run_node_and_worker(house)
    send([radiograph(1, bright=True)], house.port)
    wait_for_objects(archive, 4)
    with house.store() as store:
        runs = store.predictions.runs()
        for filed in archive.filed:
            forward(filed.path.read_bytes(), house.port)
        wait_until(
            lambda: house.log().count("own_result") >= len(archive.filed), seconds=10, what="the results to be filed"
        )
        assert [row.revision for row in store.studies.rows()] == [1]
        assert store.studies.due(quiet_seconds=0, maximum_wait_seconds=0) == []
        assert store.predictions.runs() == runs == 1


def forward(part10, port):
    from dicom_node.send import open_association
    from dicom_node.sop_classes import RESULT_SOP_CLASSES
    from tests.e2e.studies import candor

    with open_association(candor(port), RESULT_SOP_CLASSES) as sender:
        assert sender.send(part10).status == 0


def test_a_pacs_that_was_down_gets_everything_in_order_and_no_model_runs_twice(house, archive):
    archive.stop()
    run_node_and_worker(house)
    images = [radiograph(number, bright=number % 2 == 0) for number in range(6)]
    for image in images:
        send([image], house.port)
    with house.store() as store:
        wait_until(
            lambda: store.studies.counts()[StudyState.REPORTED] == len(images),
            seconds=60,
            what="every report to be filed",
        )
        house.kill("worker")  # days pass, machines restart
        store.outbox.wake("ARCHIVE")
        waiting = [delivery.payload_id for delivery in store.outbox.pending("ARCHIVE")]
        house.start("worker")
        archive.start()
        wait_until(lambda: len(archive.filed) >= len(waiting), seconds=60, what="everything to arrive")
        assert store.predictions.runs() == len(images)
    assert [str(d.SOPInstanceUID) for d in arrived(archive)] == waiting
    assert {len(found) for found in reports_by_study(archive).values()} == {1}


def test_nothing_of_a_patient_is_readable_on_disk_or_in_a_log(house, archive):
    run_node_and_worker(house)
    image = radiograph(1, bright=True)
    send([image], house.port)
    wait_for_objects(archive, 4)
    house.stop()
    pixels = image.part10[-20_000:-19_900]
    for canary in (b"Canary", b"CANARY", pixels, image.study_instance_uid.encode()):
        assert holds_text(house.data, canary) == []
        assert canary not in house.log().encode()


def test_an_outage_that_outlasts_every_retry_only_postpones_the_report(house, archive):
    run_node_and_worker(house)
    wait_until(lambda: "model.ready" in house.log(), seconds=60, what="the worker")
    objects, away = house.data / "objects", house.data / "objects.away"
    with house.store() as store:
        store.leases.acquire("test", "test", 1.0)  # the store is open before its disk goes
        send([radiograph(1, bright=True)], house.port)
        objects.rename(away)
        objects.write_text("the disk is not mounted")
        wait_until(lambda: "study.postponed" in house.log(), seconds=60, what="the retries to run out")
        assert store.studies.counts()[StudyState.FAILED] == 0
        objects.unlink()
        away.rename(objects)
        wait_for_objects(archive, 4, seconds=60)
        wait_until(lambda: store.studies.counts()[StudyState.REPORTED] == 1, seconds=10, what="the study to settle")
        assert store.predictions.runs() == 1
