"""From probabilities to findings: coded observations with the model's operating points."""

from __future__ import annotations

from collections.abc import Mapping

from core.domain.model import OperatingPoint, Prediction
from core.domain.report import Finding


def to_findings(prediction: Prediction, points: Mapping[str, OperatingPoint]) -> tuple[Finding, ...]:
    """One finding per output of the model, in the model's order, positive or not.

    `points`: operating points, by finding, that count in the place of the model's own (a cohort's, signed off).
    """
    return tuple(
        Finding(
            name=definition.name,
            code=definition.code,
            probability=prediction.probabilities[definition.name],
            score=prediction.scores[definition.name],
            operating_point=points.get(definition.name, definition.operating_point),
            names_lesion=definition.names_lesion,
        )
        for definition in prediction.model.findings
    )
