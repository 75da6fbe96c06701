"""A report of several readings: every object is valid, on its own image, and by the model that read it."""

from __future__ import annotations

import dataclasses
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from core.domain.input import Geometry, ModelInput
from core.domain.report import ObjectKind, Reading, Report, ReportStatus, ResultObject
from core.domain.study import Instance, Series
from dicom_node.encode import encode
from dicom_node.encode.uids import tracking_uid
from dicom_node.header.sr_text import render_text
from tests.contract import conformance
from tests.contract.encode.cases import (
    CT,
    EFFUSION,
    IMAGE_UID,
    MODEL,
    dx_source,
    finding,
    image,
    reading,
    report,
    saliency,
    study,
)

OTHER_UID = "1.2.826.0.1.1.30"
SECOND = dataclasses.replace(MODEL, name="second_look", device_uid="2.25.99", sha256="ef" * 32)
SLICES = tuple(f"1.2.826.0.1.1.4{number}" for number in range(8))


def instances(*uids: str, sop_class_uid: str = "") -> tuple[Instance, ...]:
    (plain,) = study().instances
    changes = {"sop_class_uid": sop_class_uid} if sop_class_uid else {}
    return tuple(dataclasses.replace(plain, sop_instance_uid=uid, **changes) for uid in uids)


def of(images: tuple[Instance, ...], *readings: Reading) -> Report:
    series = Series(series_instance_uid=images[0].series_instance_uid, modality="DX", instances=images)
    return report(study=dataclasses.replace(study(), series=(series,)), readings=readings)


def two_images_and_two_models() -> Report:
    """A negative image, a positive one that both models read, and a reading that failed."""
    one, other = instances(IMAGE_UID, OTHER_UID)
    negative = (finding(probability=0.2), finding("effusion", 0.12, EFFUSION))
    on_other = (saliency(sop_instance_uid=OTHER_UID),)
    return of(
        (one, other),
        reading(one, findings=negative, saliencies=()),
        reading(other, saliencies=on_other),
        reading(other, model=SECOND, saliencies=on_other, cohorts=()),
        Reading(model=SECOND, what=ModelInput.of(one), status=ReportStatus.FAILED, reason="it did not run"),
    )


def a_volume() -> Report:
    """Eight slices of a CT with a region in two of them, the upper one the stronger."""
    slices = instances(*SLICES, sop_class_uid="1.2.840.10008.5.1.4.1.1.2")
    geometry = Geometry(rows=64, columns=48, slices=8, spacing=(5.0, 0.5, 0.25))
    what = ModelInput(instances=slices, geometry=geometry, prepared_as="volume")
    strong, weak = saliency(sop_instance_uid=SLICES[5]), saliency(sop_instance_uid=SLICES[4])
    maps = (strong, dataclasses.replace(weak, mask=weak.values > 0.7))
    return of(slices, reading(slices[0], what=what, saliencies=maps))


def sources() -> dict[str, bytes]:
    slices = {
        uid: dx_source(**{**CT, "SOPInstanceUID": uid, "ImagePositionPatient": [-10, -20, 5 * number]})
        for number, uid in enumerate(SLICES)
    }
    return {IMAGE_UID: dx_source(), OTHER_UID: dx_source(SOPInstanceUID=OTHER_UID), **slices}


def encoded(made: Report) -> tuple[ResultObject, ...]:
    images = dict.fromkeys((IMAGE_UID, OTHER_UID, *SLICES), image())
    return encode(made, sources(), images, list(ObjectKind))


def read(result: ResultObject) -> pydicom.Dataset:
    return pydicom.dcmread(BytesIO(result.data))


REPORTS = {"readings": two_images_and_two_models, "volume": a_volume}


@pytest.mark.parametrize("name", REPORTS)
def test_the_validators_find_no_error(name: str, tmp_path: Path) -> None:
    for number, result in enumerate(encoded(REPORTS[name]())):
        file = tmp_path / f"{number}_{result.kind}.dcm"
        file.write_bytes(result.data)
        assert conformance.dciodvfy(file) == []
        assert conformance.dcmtk_file(file) == []
        if result.kind is ObjectKind.SR:
            assert conformance.dcmtk_sr(file) == []
            assert conformance.pixelmed_sr(file) == []
        if result.kind is ObjectKind.GSPS:
            assert conformance.dcmtk_presentation(file) == []


def test_no_two_objects_share_a_uid_and_the_first_reading_has_that_of_a_report_of_its_own() -> None:
    results = encoded(two_images_and_two_models())
    uids = [result.sop_instance_uid for result in results]
    assert len(uids) == len(set(uids)) == 1 + 2 * 4 + 1, (
        "the summary; SEG, SEG fractional, GSPS and picture of two findings; the SR"
    )
    alone = report()
    one, other = alone.readings[0], reading(*instances(OTHER_UID), saliencies=())
    first = {r.sop_instance_uid for r in encoded(alone)}
    both = {r.sop_instance_uid for r in encoded(of(instances(IMAGE_UID, OTHER_UID), one, other))}
    assert first <= both


def test_a_late_image_takes_no_tracking_uid_of_an_earlier_one_whatever_its_series_is_called() -> None:
    early, late = (
        dataclasses.replace(instance, arrival=arrival, series_instance_uid=f"1.2.826.0.1.1.{9 - arrival}")
        for arrival, instance in enumerate(instances(IMAGE_UID, OTHER_UID), start=1)
    )
    before = of((early,), reading(early))
    after = of((late, early), reading(late), reading(early))  # series are in the order of their UIDs
    first = tracking_uid(before, before.readings[0], "lung_opacity")
    assert [tracking_uid(after, made, "lung_opacity") == first for made in after.readings] == [False, True]


def test_each_picture_is_of_its_image_and_names_its_model() -> None:
    pictures = [r for r in encoded(two_images_and_two_models()) if r.kind is not ObjectKind.SR]
    of_findings = [picture for picture in pictures if picture.finding_name]
    models = [read(picture).ContributingEquipmentSequence[0].ManufacturerModelName for picture in of_findings]
    assert sorted(set(models)) == ["chest_radiograph", "second_look"]
    for picture in pictures:
        assert OTHER_UID in str(read(picture))
        assert f": {IMAGE_UID}\n" not in str(read(picture))


def test_each_picture_of_a_finding_that_several_readings_have_is_listed_under_its_own_name() -> None:
    one, other = instances(IMAGE_UID, OTHER_UID)
    results = encoded(
        of((one, other), reading(one), reading(other, saliencies=(saliency(sop_instance_uid=OTHER_UID),)))
    )
    states = [read(r).ContentDescription for r in results if r.kind is ObjectKind.GSPS]
    assert sorted(states) == [f"AI - NOT VERIFIED: Lung opacity, image {number} of 2" for number in (1, 2)]
    for kind, name in ((ObjectKind.GSPS, "ContentDescription"), (ObjectKind.SC_FINDINGS, "ImageComments")):
        labels = [read(r)[name].value for r in encoded(two_images_and_two_models()) if r.kind is kind]
        assert len(set(labels)) == len(labels) == 2
        assert all(len(label) <= 64 for label in labels)


def test_the_report_says_what_is_where_and_what_failed() -> None:
    made = two_images_and_two_models()
    (sr,) = [r for r in encoded(made) if r.kind is ObjectKind.SR]
    text = render_text(sr.data)
    assert (
        "Flagged: Lung opacity (image 2 of 2, chest_radiograph 1.0.0), Lung opacity (image 2 of 2, second_look 1.0.0)."
    ) in text
    assert "Could not analyse image 1 of 2, second_look 1.0.0, because: it did not run." in text
    assert "Not all algorithms succeeded; with findings" in text
    assert text.count("Finding: Could not be analysed") == 1


def test_what_is_true_of_one_image_only_is_said_of_that_image() -> None:
    one, other = instances(IMAGE_UID, OTHER_UID)
    both = ("The patient's age is not known",)
    made = of(
        (one, other),
        reading(one, limitations=both),
        reading(other, limitations=(*both, "The view is not given")),
    )
    assert made.all_limitations[-2:] == (*both, "Image 2 of 2: The view is not given")


def test_the_region_of_a_volume_is_in_its_slices() -> None:
    by_kind = {result.kind: read(result) for result in encoded(a_volume())}
    seg = by_kind[ObjectKind.SEG]
    frames = {
        float(frame.PlanePositionSequence[0].ImagePositionPatient[2]): pixels
        for frame, pixels in zip(seg.PerFrameFunctionalGroupsSequence, seg.pixel_array, strict=True)
    }
    assert sorted(frames) == [20.0, 25.0]
    assert frames[25.0].sum() > frames[20.0].sum() > 0, "each mask is in its own slice"
    assert by_kind[ObjectKind.SC].SourceImageSequence[0].ReferencedSOPInstanceUID == SLICES[5]
    annotated = [
        str(item.ReferencedImageSequence[0].ReferencedSOPInstanceUID)
        for item in by_kind[ObjectKind.GSPS].GraphicAnnotationSequence
    ]
    assert annotated == [SLICES[4], SLICES[5]]
    evidence = by_kind[ObjectKind.SR].CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert [str(i.ReferencedSOPInstanceUID) for s in evidence for i in s.ReferencedSOPSequence] == list(SLICES)
