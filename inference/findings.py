"""From probabilities to findings: coded observations with the model's operating points, consistent with each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.domain.model import OperatingPoint, Prediction
from core.domain.report import Finding


def to_findings(prediction: Prediction, points: Mapping[str, OperatingPoint]) -> tuple[Finding, ...]:
    """One finding per output of the model, in the model's order, flagged or not.

    `points`: operating points, by finding, that count in the place of the model's own (a cohort's, signed off).
    """
    return flag_general(
        tuple(
            Finding(
                name=definition.name,
                code=definition.code,
                probability=prediction.probabilities[definition.name],
                score=prediction.scores[definition.name],
                operating_point=points.get(definition.name, definition.operating_point),
                is_general=definition.is_general,
            )
            for definition in prediction.model.findings
        )
    )


def flag_general(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Flag "abnormal" where a named finding of the same image is flagged (docs/decisions/0019); no score changes."""
    named = tuple(finding.code.meaning for finding in findings if finding.is_positive and not finding.is_general)
    return tuple(
        replace(finding, implied_by=named) if finding.is_general and not finding.is_positive else finding
        for finding in findings
    )
