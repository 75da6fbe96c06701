"""The image library of the SR names every image of the study, and why one was not read."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from pathlib import Path

from pydicom import dcmread

from core.domain.report import ImageUse, ObjectKind
from core.domain.study import Series
from dicom_node.encode import encode
from dicom_node.header.sr_text import render_text
from tests.contract.conformance import dciodvfy, dcmtk_sr
from tests.contract.encode import cases

OTHER_UID, OTHER_SERIES = "1.2.826.0.1.1.9", "1.2.826.0.1.1.8"


def test_the_library_lists_what_was_not_read_and_why(tmp_path: Path) -> None:
    report = cases.report()
    (read,) = report.study.instances
    other = replace(read, sop_instance_uid=OTHER_UID, series_instance_uid=OTHER_SERIES)
    series = Series(series_instance_uid=OTHER_SERIES, modality="DX", instances=(other,))
    uses = (ImageUse(instance=read), ImageUse(instance=other, reason="the view LL is not read"))
    study = replace(report.study, series=(*report.study.series, series))
    whole = replace(report, study=study, images=uses)
    (sr,) = encode(
        whole,
        sources={cases.IMAGE_UID: cases.dx_source(), OTHER_UID: cases.dx_source(SOPInstanceUID=OTHER_UID)},
        images={},
        kinds=frozenset({ObjectKind.SR}),
    )
    assert "Not read, because the view LL is not read." in render_text(sr.data)
    (evidence,) = dcmread(BytesIO(sr.data)).CurrentRequestedProcedureEvidenceSequence
    named = [
        item.ReferencedSOPInstanceUID for s in evidence.ReferencedSeriesSequence for item in s.ReferencedSOPSequence
    ]
    assert named == [cases.IMAGE_UID, OTHER_UID]
    (tmp_path / "sr.dcm").write_bytes(sr.data)
    assert not dciodvfy(tmp_path / "sr.dcm")
    assert not dcmtk_sr(tmp_path / "sr.dcm")
