"""Which objects a report becomes, in what order, under which UIDs, and that encoding is a function of the report."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from core.domain.report import ObjectKind, Report, ReportStatus, ResultObject
from core.domain.study import Image
from core.errors import Unsupported
from dicom_node.encode import encode
from dicom_node.encode.uids import tracking_uid
from tests.contract.encode.cases import (
    CT,
    IMAGE_UID,
    MODEL,
    Case,
    cases,
    dx_source,
    image,
    report,
    saliency,
    study,
    withheld,
)

ALL = tuple(ObjectKind)


def encode_all(of: Report, kinds: tuple[ObjectKind, ...] = ALL) -> tuple[ResultObject, ...]:
    return encode(of, {IMAGE_UID: dx_source()}, {IMAGE_UID: image()}, kinds)


def kinds_of(results: tuple[ResultObject, ...]) -> list[str]:
    return [result.kind.value for result in results]


def test_a_positive_finding_becomes_every_kind_and_the_sr_comes_last() -> None:
    assert kinds_of(encode_all(report())) == ["sc", "seg", "seg-fractional", "gsps", "sc-findings", "sr"]


def test_an_image_with_a_frame_of_reference_has_a_parametric_map_too() -> None:
    results = encode(report(), {IMAGE_UID: dx_source(**CT)}, {IMAGE_UID: image()}, ALL)
    assert kinds_of(results) == ["sc", "seg", "seg-fractional", "pmap", "gsps", "sc-findings", "sr"]


@pytest.mark.parametrize("missing", [{"FrameOfReferenceUID": None}, {"ImageOrientationPatient": None}])
def test_a_ct_that_does_not_say_where_it_is_has_none(missing: dict[str, None]) -> None:
    results = encode(report(), {IMAGE_UID: dx_source(**{**CT, **missing})}, {IMAGE_UID: image()}, ALL)
    assert kinds_of(results) == ["sc", "gsps", "sc-findings", "sr"]


def test_the_frame_of_an_enhanced_ct_is_placed_by_its_functional_groups() -> None:
    def groups(**macros: dict[str, object]) -> list[Dataset]:
        return [dataset(**{name: [dataset(**values)] for name, values in macros.items()})]

    enhanced = dx_source(
        **{**CT, "PixelSpacing": None, "SliceThickness": None, "ImagePositionPatient": None},
        NumberOfFrames=1,
        SharedFunctionalGroupsSequence=groups(
            PixelMeasuresSequence={"PixelSpacing": [0.5, 0.25], "SliceThickness": 2.5},
            PlaneOrientationSequence={"ImageOrientationPatient": CT["ImageOrientationPatient"]},
        ),
        PerFrameFunctionalGroupsSequence=groups(
            PlanePositionSequence={"ImagePositionPatient": CT["ImagePositionPatient"]}
        ),
    )
    results = encode(report(), {IMAGE_UID: enhanced}, {IMAGE_UID: image()}, ALL)
    placed = [r for r in results if r.kind in (ObjectKind.PMAP, ObjectKind.SEG)]
    for result in placed:
        shared, frame = (
            pydicom.dcmread(BytesIO(result.data))[name].value[0]
            for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
        )
        assert shared.PixelMeasuresSequence[0].PixelSpacing == CT["PixelSpacing"]
        assert frame.PlanePositionSequence[0].ImagePositionPatient == CT["ImagePositionPatient"]
    assert len(placed) == 2


def dataset(**values: object) -> Dataset:
    """A data set of these attributes."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def test_only_the_kinds_asked_for_are_made() -> None:
    assert kinds_of(encode_all(report(), (ObjectKind.SR, ObjectKind.SEG))) == ["seg", "sr"]
    assert encode_all(report(), ()) == ()


@pytest.mark.parametrize("status", [ReportStatus.NOT_ANALYSED, ReportStatus.REFUSED, ReportStatus.FAILED])
def test_a_study_without_findings_becomes_an_sr_alone(status: ReportStatus) -> None:
    silent = report(status=status, reason="x", findings=(), saliencies=(), cohorts=())
    assert kinds_of(encode_all(silent)) == ["sr"]


def test_a_withheld_map_is_in_no_object_but_the_plain_pictures_are_sent() -> None:
    assert kinds_of(encode_all(report(saliencies=(withheld(),)))) == ["sc", "sc-findings", "sr"]


def test_an_empty_mask_gives_no_segmentation() -> None:
    empty = saliency(mask=saliency().mask & False, regions=())
    assert kinds_of(encode_all(report(saliencies=(empty,)))) == ["sc", "gsps", "sc-findings", "sr"]


def test_the_sr_needs_neither_source_bytes_nor_pixels() -> None:
    refused = report(status=ReportStatus.REFUSED, reason="no model", model=None, findings=(), saliencies=(), cohorts=())
    assert kinds_of(encode(refused, {}, {}, [ObjectKind.SR])) == ["sr"]


def test_unreadable_source_bytes_still_give_the_report_that_says_so() -> None:
    broken = report(status=ReportStatus.NOT_ANALYSED, reason="cannot be read", findings=(), saliencies=(), cohorts=())
    assert kinds_of(encode(broken, {IMAGE_UID: b"not DICOM"}, {}, [ObjectKind.SR])) == ["sr"]


@pytest.mark.parametrize(
    ("kind", "sources", "images"),
    [
        (ObjectKind.SC, {IMAGE_UID: dx_source()}, {}),
        (ObjectKind.SEG, {}, {}),
        (ObjectKind.GSPS, {IMAGE_UID: dx_source(rows=32)}, {}),
        ("parametric-map", {IMAGE_UID: dx_source()}, {}),
    ],
)
def test_a_kind_that_cannot_be_made_is_unsupported(
    kind: ObjectKind, sources: dict[str, bytes], images: dict[str, Image]
) -> None:
    with pytest.raises(Unsupported):
        encode(report(), sources, images, [kind])


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_same_report_gives_the_same_bytes(case: Case) -> None:
    once, again = (encode(case.report, {IMAGE_UID: case.source}, {IMAGE_UID: case.image}, ALL) for _ in range(2))
    assert [result.data for result in once] == [result.data for result in again]


def uids(of: Report) -> set[str]:
    return {result.sop_instance_uid for result in encode_all(of)}


def test_uids_do_not_depend_on_when_the_report_was_made() -> None:
    assert uids(report()) == uids(report(created_at=datetime(2027, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    "other",
    [
        report(study=study(revision=2)),
        report(model=dataclasses.replace(MODEL, device_uid="2.25.99")),
        report(study=dataclasses.replace(study(), study_instance_uid="1.2.3")),
    ],
)
def test_another_revision_model_version_or_study_shares_no_uid(other: Report) -> None:
    assert not uids(report()) & uids(other)


def test_every_uid_is_derived_and_used_once() -> None:
    results = encode_all(report())
    assert len({result.sop_instance_uid for result in results}) == len(results)
    assert len({result.series_instance_uid for result in results}) == len(results)
    assert all(result.sop_instance_uid.startswith("2.25.") and len(result.sop_instance_uid) <= 64 for result in results)


def test_the_tracking_uid_survives_a_new_revision_and_a_new_model_version() -> None:
    updated = dataclasses.replace(MODEL, version="2.0.0", device_uid="2.25.99")
    later = report(study=study(revision=3), model=updated)
    assert tracking(report(), "lung_opacity") == tracking(later, "lung_opacity")
    assert tracking(report(), "lung_opacity") != tracking(report(), "effusion")


def tracking(of: Report, finding_name: str) -> str:
    return tracking_uid(of, of.readings[0], finding_name)


def test_the_receiving_side_does_not_pay_for_highdicom() -> None:
    code = "import sys, dicom_node, dicom_node.header.sr_text; sys.exit('highdicom' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == 0
