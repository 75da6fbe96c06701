"""A study has as many readings as models and inputs: each finding is on its image, and a failure stops no other."""

import json
import random
import subprocess
from collections import defaultdict

from highdicom.sr import srread
from pydicom import dcmread

from core.domain.registration import ModelState
from core.domain.report import ReportStatus
from dicom_node.header.sr_text import render_text
from pipeline.results_json import StudyEntry
from tests.e2e.house import wait_until
from tests.e2e.reports import GSPS, SC, SEG, SR, arrived, reports_by_study
from tests.e2e.studies import PATCH, ct_series, radiograph, same_study, send_together
from tests.known_model import make_known_model, make_known_volume_model


def of_class(archive, sop_class):
    return [dataset for dataset in arrived(archive) if dataset.SOPClassUID == sop_class]


def run(house):
    house.start("worker")
    house.start("node")
    house.wait_ready()


def entry_of(house, study_instance_uid):
    with house.store() as store:
        filed = store.reports.current(store.study_id_of(study_instance_uid))
    return StudyEntry.model_validate(filed.document)


def section(report, name):
    """The items of a section of the report, by the meaning of their names."""
    (found,) = [item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeMeaning == name]
    items = defaultdict(list)
    for item in found.ContentSequence:
        items[item.ConceptNameCodeSequence[0].CodeMeaning].append(item)
    return items


def images_of(seg):
    return {str(item.ReferencedSOPInstanceUID) for item in seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence}


def two_images(house, archive):
    """A normal image and one with the patch, in one study."""
    normal = radiograph(1, bright=False)
    bright = same_study(normal, 2, bright=True)
    send_together([normal, bright], house.port)
    wait_until(lambda: len(archive.filed) == 4, seconds=90, what="the SR and the pictures of the finding")
    return normal, bright


def test_two_images_of_a_study_are_both_read_and_each_finding_is_on_its_image(house, archive):
    run(house)
    normal, bright = two_images(house, archive)
    entry = entry_of(house, normal.study_instance_uid)
    assert [reading.status for reading in entry.readings] == ["reported", "reported"]
    found = {finding.image: finding.positive for finding in entry.findings}
    assert found == {normal.sop_instance_uid: False, bright.sop_instance_uid: True}

    report = reports_by_study(archive)[normal.study_instance_uid][-1]
    evidence = [
        str(item.ReferencedSOPInstanceUID)
        for series in report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
    assert sorted(evidence) == sorted(found)
    filed = [item for item in archive.filed if item.instance.sop_instance_uid == report.SOPInstanceUID]
    content = srread(filed[0].path).content
    (group,) = content.get_planar_roi_measurement_groups()
    assert group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == bright.sop_instance_uid
    (below,) = section(report, "Qualitative Evaluations")["Measurement Group"]
    (source,) = [item for item in below.ContentSequence if item.ValueType == "IMAGE"]
    assert source.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == normal.sop_instance_uid
    number = [list(reading.instances) for reading in entry.readings].index([bright.sop_instance_uid]) + 1
    assert f"Flagged: Bright patch (image {number} of 2)." in render_text(filed[0].path.read_bytes())

    (overlay,) = of_class(archive, SC)
    assert overlay.SourceImageSequence[0].ReferencedSOPInstanceUID == bright.sop_instance_uid
    (seg,) = of_class(archive, SEG)
    assert images_of(seg) == {bright.sop_instance_uid}
    (state,) = of_class(archive, GSPS)
    (referenced,) = state.ReferencedSeriesSequence[0].ReferencedImageSequence
    assert referenced.ReferencedSOPInstanceUID == bright.sop_instance_uid
    rows = seg.pixel_array.any(1).nonzero()[0]
    assert abs(int(rows.min()) - PATCH[0]) <= 32


def test_two_models_of_one_image_both_read_once_a_person_signed(house, archive):
    second = make_known_model(house.folder / "second", name="second_look")
    assert house.register(second).state is ModelState.SHADOW, "the site has a live model for these images"
    refused = subprocess.run(
        house.command("models", "live", "second_look", "1.0.0"),
        cwd=house.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "takes images that bright_patch 1.0.0 reads" in refused.stderr
    house.run("models", "live", "second_look", "1.0.0", "--as", "Dr. A", "--because", "to compare")
    run(house)
    image = radiograph(1, bright=True)
    send_together([image], house.port)
    wait_until(lambda: len(archive.filed) == 6, seconds=90, what="SR, SC, and GSPS and SEG of each model's finding")
    entry = entry_of(house, image.study_instance_uid)
    assert [(reading.model.name, reading.status) for reading in entry.readings] == [
        ("bright_patch", "reported"),
        ("second_look", "reported"),
    ]
    (report,) = reports_by_study(archive)[image.study_instance_uid]
    assert {item.ManufacturerModelName for item in report.ContributingEquipmentSequence} == {
        "bright_patch",
        "second_look",
    }
    uids = [str(dataset.SOPInstanceUID) for dataset in arrived(archive)]
    assert len(uids) == len(set(uids))
    with house.store() as store:
        (made, other) = store.readings.newest()
        assert (made.model_name, other.model_name) == ("bright_patch", "second_look")
        assert any("signed by Dr. A, because to compare" in str(link) for link in store.trail.events())


def test_a_model_that_does_not_run_stops_no_other_and_is_named(house, archive):
    for fault in ("error", "nan"):
        house.register(make_known_model(house.folder / fault, name=f"with_{fault}", fault=fault))
        house.run("models", "live", f"with_{fault}", "1.0.0", "--as", "Dr. A", "--because", "to see it fail")
    run(house)
    image = radiograph(1, bright=True)
    send_together([image], house.port)
    wait_until(lambda: of_class(archive, SEG), seconds=90, what="the pictures of the model that works")
    entry = entry_of(house, image.study_instance_uid)
    assert {reading.model.name: reading.status for reading in entry.readings} == {
        "bright_patch": "reported",
        "with_error": "failed",
        "with_nan": "not_analysed",
    }
    assert [finding.model.name for finding in entry.findings] == ["bright_patch"]
    (filed,) = [item for item in archive.filed if item.instance.sop_class_uid == SR]
    text = render_text(filed.path.read_bytes())
    assert "Not all algorithms succeeded; with findings" in text
    assert "Could not analyse with_error 1.0.0, because: the model does not run on this input" in text
    assert "Could not analyse with_nan 1.0.0, because: the model's answer for this image is not a number" in text
    with house.store() as store:
        statuses = {made.model_name: made.status for made in store.readings.newest()}
    assert statuses["with_error"] is ReportStatus.FAILED


def test_a_series_is_one_input_and_the_region_is_in_its_slice(house, archive):
    house.register(make_known_volume_model(house.folder / "volumes"), state=ModelState.LIVE)
    run(house)
    slices = ct_series(1)
    sent = random.Random(1).sample(slices, len(slices))
    assert sent != slices
    send_together(sent, house.port)
    wait_until(lambda: len(archive.filed) == 4, seconds=90, what="the SR and the pictures of the finding")
    entry = entry_of(house, slices[0].study_instance_uid)
    (reading,) = entry.readings
    assert list(reading.instances) == [image.sop_instance_uid for image in slices]
    (finding,) = entry.findings
    (bright,) = (image for image in slices if image.bright)
    assert (finding.positive, finding.image) == (True, bright.sop_instance_uid)
    assert finding.saliency.faithfulness is not None
    (filed,) = [item for item in archive.filed if item.instance.sop_class_uid == SR]
    (group,) = srread(filed.path).content.get_planar_roi_measurement_groups()
    assert group.roi.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == bright.sop_instance_uid
    evidence = dcmread(filed.path).CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert len(evidence.ReferencedSOPSequence) == len(slices)
    (seg,) = of_class(archive, SEG)
    assert images_of(seg) == {bright.sop_instance_uid}
    plane = seg.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    assert [float(value) for value in plane.ImagePositionPatient] == [-20.0, -30.0, 25.0]
    (overlay,) = of_class(archive, SC)
    assert overlay.SourceImageSequence[0].ReferencedSOPInstanceUID == bright.sop_instance_uid


def test_a_series_with_a_missing_slice_is_not_read_and_the_report_says_why(house, archive):
    house.register(make_known_volume_model(house.folder / "volumes"), state=ModelState.LIVE)
    run(house)
    slices = ct_series(1)
    send_together([image for image in slices if image is not slices[3]], house.port)
    wait_until(lambda: of_class(archive, SR), seconds=90, what="the report")
    entry = entry_of(house, slices[0].study_instance_uid)
    assert (entry.status, len(entry.findings)) == ("not_analysed", 0)
    assert "not evenly spaced" in entry.reason


def test_analysis_reads_with_every_model_of_the_folder(tmp_path):
    from tests.e2e.commands.test_analyze import analyze

    make_known_model(tmp_path / "models")
    make_known_model(tmp_path / "models", name="second_look")
    (tmp_path / "in").mkdir()
    normal = radiograph(1, bright=True)
    other = same_study(normal, 2, bright=True)
    for number, image in enumerate((normal, other)):
        (tmp_path / "in" / f"{number}.dcm").write_bytes(image.part10)
    answer = analyze(tmp_path, "in", "--out", "out", "--objects", "sr,sc,seg")
    assert answer.returncode == 0, answer.stderr
    (study,) = json.loads((tmp_path / "out" / "results.json").read_text())["studies"]
    entry = StudyEntry.model_validate(study)
    assert entry.timings_seconds["total"] > 0
    assert [reading.model.name for reading in entry.readings] == ["bright_patch"] * 2 + ["second_look"] * 2
    paths = [item.path for item in entry.objects]
    assert len(paths) == len(set(paths)) == 7  # the SR, a summary of each image, a SEG of each finding
    assert all((tmp_path / "out" / path).exists() for path in paths)
