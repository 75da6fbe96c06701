"""Operating points per cohort, proposed from the verified reads of this site."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from core.domain.model import ModelVersion
from core.domain.reading import ReadingRecord
from core.errors import ConfigurationError
from core.settings import Settings
from core.store.fairness.operating_policies import StoredPolicy
from core.store.store import Store
from fairness.cohorts import attributes_of, load_definition
from fairness.mitigation import Verified, propose
from fairness.mitigation_policy import OperatingPolicy
from fairness.service.truth import Settled, settled, verification
from pipeline.watch.cohort_lines import cohorts_file


def propose_from_reads(
    store: Store, settings: Settings, model: ModelVersion, by: str, findings: Sequence[str]
) -> tuple[int, OperatingPolicy]:
    """A proposal from this site's verified reads of a model, kept under a number; ConfigurationError without any.

    `findings`: all of the model when empty.
    """
    definition = load_definition(cohorts_file(settings))
    if by not in definition.names:
        raise ConfigurationError(f"there is no attribute {by}; there are {', '.join(definition.names)}")
    known = [finding.name for finding in model.findings]
    if unknown := sorted(set(findings) - set(known)):
        raise ConfigurationError(f"{model.name} has no finding {', '.join(unknown)}; it has {', '.join(known)}")
    truth = settled(store.truths.all())
    rows = [made for made in store.readings.newest() if made.model_sha256 == model.sha256]
    cohorts = {made.study_id: attributes_of(made.facts, definition)[by] for made in rows}
    points = {finding.name: finding.operating_point.threshold for finding in model.findings}
    verified = [_verified(rows, truth, cohorts, name, points[name]) for name in findings or known]
    policy = propose([one for one in verified if len(one.patients)], by)
    if not any(effect.changes for effect in policy.effects):
        raise ConfigurationError(
            f"no cohort of {by} has enough verified reads (60 with and 60 without a finding); nothing is proposed"
        )
    return store.operating_policies.propose(model.sha256, policy.model_dump(mode="json")), policy


def _verified(
    rows: Sequence[ReadingRecord], truth: Settled, cohorts: Mapping[str, str], finding: str, threshold: float
) -> Verified:
    known = [made for made in rows if finding in made.probabilities and (made.study_id, finding) in truth]
    return Verified(
        finding=finding,
        threshold=threshold,
        probabilities=np.array([made.probabilities[finding] for made in known], np.float64),
        truths=np.array([truth[made.study_id, finding].value for made in known], bool),
        patients=[made.patient for made in known],
        cohorts=[cohorts[made.study_id] for made in known],
        words=verification(rows, truth, finding).words,
    )


def sign_off_for_installed(
    store: Store, policy: StoredPolicy, installed: Sequence[str], *, by: str, reason: str
) -> StoredPolicy:
    """Put a policy in force; ConfigurationError without a name and a reason, or for a model that is not here.

    `installed`: SHA-256 of the weights of every model here.
    """
    if not by.strip() or not reason.strip():
        raise ConfigurationError("a sign-off needs a name (--as) and a reason (--because)")
    if policy.model_sha256 not in installed:
        raise ConfigurationError("the policy was made for another version of the model; propose a new one")
    return store.operating_policies.sign_off(policy.policy_id, by=by.strip()[:128], reason=reason.strip())
