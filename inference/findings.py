"""From probabilities to findings: coded observations held against the model's operating points."""

from __future__ import annotations

from core.domain import Finding, Prediction


def to_findings(prediction: Prediction) -> tuple[Finding, ...]:
    """One finding per output of the model, in the model's order, positive or not."""
    return tuple(
        Finding(
            name=definition.name,
            code=definition.code,
            probability=prediction.probabilities[definition.name],
            score=prediction.scores[definition.name],
            operating_point=definition.operating_point,
        )
        for definition in prediction.model.findings
    )
