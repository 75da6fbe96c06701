"""UIDs whose components begin with a zero: real modalities send them, and a PACS files results by exactly them."""

from __future__ import annotations

import warnings
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import dcmread

from core.domain.input import ModelInput
from core.domain.report import ObjectKind, Report
from core.domain.study import Series
from dicom_node.encode import encode
from dicom_node.header.checks import check_header
from dicom_node.header.read import read_header
from tests.contract.dicom_peers import dx_dataset, part10
from tests.contract.encode import cases

STUDY, SERIES, IMAGE = "1.2.826.0.1.01.1", "1.2.826.0.1.1.002", "1.2.826.00.1.1.3"


def of_zeros() -> tuple[Report, bytes]:
    report = cases.report()
    instance = replace(
        report.study.instances[0], study_instance_uid=STUDY, series_instance_uid=SERIES, sop_instance_uid=IMAGE
    )
    series = Series(series_instance_uid=SERIES, modality="DX", instances=(instance,))
    study = replace(report.study, study_instance_uid=STUDY, series=(series,))
    saliency = cases.saliency(sop_instance_uid=IMAGE)
    reading = replace(report.readings[0], what=ModelInput.of(instance), saliencies=(saliency,))
    with warnings.catch_warnings(action="ignore"):
        source = cases.dx_source(StudyInstanceUID=STUDY, SeriesInstanceUID=SERIES, SOPInstanceUID=IMAGE)
    return replace(report, study=study, readings=(reading,)), source


def test_results_refer_to_the_very_uids_and_warn_of_nothing() -> None:
    report, source = of_zeros()
    with warnings.catch_warnings(action="error"):  # pydicom's warning would print the UID
        results = encode(
            report,
            sources={IMAGE: source},
            images={IMAGE: cases.image()},
            kinds=frozenset({ObjectKind.SR, ObjectKind.SC, ObjectKind.GSPS, ObjectKind.SEG}),
        )
    assert len(results) == 4
    for result in results:
        assert IMAGE.encode() in result.data
        assert SERIES.encode() in result.data or result.kind is ObjectKind.SC  # which names no series
        assert str(dcmread(BytesIO(result.data)).get_item("StudyInstanceUID").value).count(STUDY) == 1


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("uid", ["1.2.03.4", "1.2.840.00.1", "01.2.3", "1.2.3.000000000000000", "2.25.0123456789"])
def test_a_leading_zero_is_no_reason_to_refuse(keyword: str, uid: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        data = part10(dx_dataset(**{keyword: uid}))
    check_header(read_header(data))
