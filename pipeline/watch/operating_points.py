"""Operating points per cohort in the service: only where a person signed, and always said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from core.documents.reading import read_stored
from core.domain.model import ModelVersion, OperatingPoint
from core.domain.report import CohortMetric
from core.store.fairness.operating_policies import OperatingPolicyStore, StoredPolicy
from fairness.mitigation_policy import Effect, OperatingPolicy


def points_in_force(
    policies: OperatingPolicyStore, model: ModelVersion, attributes: Mapping[str, str], at: datetime
) -> dict[str, OperatingPoint]:
    """The operating points of this patient's cohort, by finding; empty while nothing is signed off."""
    stored = policies.in_force(model.sha256, at=at.timestamp())
    if stored is None:
        return {}
    policy = read_stored(OperatingPolicy, stored.document, f"operating policy {stored.policy_id}")
    effects = {finding.name: policy.effect_for(finding.name, attributes) for finding in model.findings}
    return {
        finding.name: _point(finding.operating_point, effect, stored)
        for finding in model.findings
        if (effect := effects[finding.name]) is not None
    }


def line_of(finding: str, point: OperatingPoint) -> CohortMetric:
    """The cohort line of a finding whose operating point is that of its cohort: what the policy was signed off for."""
    return CohortMetric(
        finding_name=finding,
        cohort=point.cohort,
        sensitivity=point.sensitivity,
        sensitivity_interval=point.sensitivity_interval,
        specificity=point.specificity,
        specificity_interval=point.specificity_interval,
        positives=point.positives or 0,
        negatives=point.negatives or 0,
        source=f"local reads, {point.policy}",
        share_is_known=False,  # a policy does not keep whether all of its patients were verified
    )


def _point(before: OperatingPoint, effect: Effect, stored: StoredPolicy) -> OperatingPoint:
    sensitivity, specificity = effect.after.sensitivity, effect.after.specificity
    assert sensitivity is not None, "a threshold is only chosen where there are positives"
    assert specificity is not None, "a threshold is only chosen where there are negatives"
    signed_on = datetime.fromtimestamp(stored.signed_at or 0.0, UTC).date().isoformat()
    return replace(
        before,
        threshold=effect.threshold_after,
        sensitivity=sensitivity[0],
        sensitivity_interval=sensitivity[1:],
        specificity=specificity[0],
        specificity_interval=specificity[1:],
        positives=effect.positives,
        negatives=effect.negatives,
        cohort=effect.cohort,
        policy=f"operating policy {stored.policy_id}, signed off {signed_on}"
        + (f", {effect.note}" if effect.note else ""),
    )
