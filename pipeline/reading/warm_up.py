"""Encode one made-up report when the worker starts, so that the first patient does not pay for what loads late."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from core.domain.input import ModelInput
from core.domain.model import ModelVersion, Prediction
from core.domain.report import Finding, ObjectKind, Reading, Report, ReportStatus
from core.domain.study import Image, Instance, Patient, Series, Study
from core.geometry import SquareFrame
from dicom_node.encode import encode
from explain.maps.class_activation import explain

_SIDE = 64
_UID = "2.25.1"
_CLASS = "1.2.840.10008.5.1.4.1.1.1.1"


def warm_up_encoders(model: ModelVersion) -> None:
    """Make every kind of object once and throw it away."""
    report = _report(model)
    image = Image(pixels=np.zeros((_SIDE, _SIDE), np.float32))
    kinds = (ObjectKind.SEG, ObjectKind.GSPS, ObjectKind.SC, ObjectKind.SR)
    encode(report, sources={}, images={_UID: image}, kinds=kinds)


def _report(model: ModelVersion) -> Report:
    name = model.findings[0].name
    study = _study()
    what = ModelInput.of(study.instances[0])
    prediction = Prediction(
        model=model,
        input_key=what.key,
        scores={name: 0.0},
        probabilities={name: 1.0},
        frame=SquareFrame.of(_SIDE, _SIDE),
        maps=np.eye(8, dtype=np.float32)[np.newaxis].repeat(len(model.findings), 0),
    )
    point = model.findings[0].operating_point
    reading = Reading(
        model=model,
        what=what,
        status=ReportStatus.REPORTED,
        findings=(Finding(name=name, code=model.findings[0].code, probability=1.0, score=0.0, operating_point=point),),
        saliencies=explain(prediction, what, name),
    )
    created_at = datetime(2000, 1, 1, tzinfo=UTC)
    return Report(study=study, status=ReportStatus.REPORTED, created_at=created_at, readings=(reading,))


def _study() -> Study:
    instance = Instance(
        sop_instance_uid=_UID,
        sop_class_uid=_CLASS,
        series_instance_uid=_UID,
        study_instance_uid=_UID,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        modality="DX",
        photometric_interpretation="MONOCHROME2",
        rows=_SIDE,
        columns=_SIDE,
    )
    series = Series(series_instance_uid=_UID, modality="DX", instances=(instance,))
    return Study(study_id="", study_instance_uid=_UID, revision=1, patient=Patient(), series=(series,))
