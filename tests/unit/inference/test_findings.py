"""Findings of one image do not contradict each other: what is flagged by name makes the image abnormal."""

from __future__ import annotations

import pytest

from core.domain.code import Code
from core.domain.model import FindingDefinition, ModelVersion, OperatingPoint, Prediction
from core.geometry import SquareFrame
from inference.findings import to_findings


def definition(name: str, *, general: bool = False) -> FindingDefinition:
    return FindingDefinition(
        name=name,
        code=Code(value=name.upper(), scheme="99TEST", meaning=name.capitalize()),
        operating_point=OperatingPoint(threshold=0.5, sensitivity=0.8, specificity=0.8),
        is_general=general,
    )


MODEL = ModelVersion(
    name="m",
    version="1",
    sha256="0",
    manufacturer="t",
    device_uid="2.25.1",
    findings=(definition("abnormal", general=True), definition("cardiomegaly"), definition("effusion")),
)


def prediction(*probabilities: float) -> Prediction:
    named = dict(zip(("abnormal", "cardiomegaly", "effusion"), probabilities, strict=True))
    return Prediction(
        model=MODEL,
        input_key="k",
        scores={name: 4.0 * value - 2.0 for name, value in named.items()},
        probabilities=named,
        frame=SquareFrame.of(8, 8),
    )


@pytest.mark.parametrize(
    ("probabilities", "flagged", "because"),
    [
        ((0.4, 0.6, 0.1), (True, True, False), ("Cardiomegaly",)),  # "cardiomegaly but not abnormal"
        ((0.4, 0.5, 0.9), (True, True, True), ("Cardiomegaly", "Effusion")),
        ((0.6, 0.6, 0.1), (True, True, False), ()),
        ((0.6, 0.1, 0.1), (True, False, False), ()),  # abnormal, of no name that the model knows
        ((0.4, 0.4, 0.4), (False, False, False), ()),
    ],
)
def test_a_named_finding_makes_the_image_abnormal(
    probabilities: tuple[float, float, float], flagged: tuple[bool, bool, bool], because: tuple[str, ...]
) -> None:
    found = to_findings(prediction(*probabilities), {})
    assert tuple(finding.is_flagged for finding in found) == flagged
    assert found[0].implied_by == because


def test_no_score_changes_and_audits_count_what_the_model_itself_said() -> None:
    found = to_findings(prediction(0.4, 0.6, 0.1), {})
    assert [(finding.probability, finding.score) for finding in found] == [
        (0.4, pytest.approx(-0.4)),
        (0.6, pytest.approx(0.4)),
        (0.1, pytest.approx(-1.6)),
    ]
    assert [finding.is_positive for finding in found] == [False, True, False]


def test_the_point_of_a_cohort_decides_here_too() -> None:
    point = OperatingPoint(threshold=0.7, sensitivity=0.8, specificity=0.8, cohort="view=AP", policy="policy 1")
    assert not any(finding.is_flagged for finding in to_findings(prediction(0.4, 0.6, 0.1), {"cardiomegaly": point}))
