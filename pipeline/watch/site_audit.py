"""The audit of this site: what its own readings and ground truth say of a model, cohort by cohort.

Figures with truth are those of `fairness.audit.run`; what is known without truth (failures, turnaround, overrides, the
last 30 days) is added to them. An audit that is kept gets a number, and from then on reports quote it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version

import numpy as np
import structlog

from core.domain.model import ModelVersion
from core.domain.reading import ReadingRecord
from core.domain.report import ReportStatus
from core.errors import ConfigurationError
from core.progress import Progress, silent
from core.settings import Settings
from core.store.fairness.site_audits import SiteAudit
from core.store.store import Store
from fairness.audit.nouns import SUPPRESSED, Audit, Provenance, Row, Threshold
from fairness.audit.run import GAPS, WITH_TRUTH, Request, run_audit
from fairness.audit.signature import Signer, sign
from fairness.audit.table import TRUTH_UNKNOWN, AuditTable, Scores, ScoresInMemory
from fairness.cohorts import Definition, attributes_of, load_definition
from fairness.grouping import Grouping
from fairness.service.figures import service_rows
from fairness.service.truth import AMONG_VERIFIED, Settled, settled, verification
from fairness.service.weights import weighted_rows
from pipeline.watch.cohort_lines import cohorts_file

BY = ("sex", "age_band", "view", "portable", "kvp_band", "manufacturer", "institution", "calling_ae_title")
SOURCE = "what this site read and verified"
DRAWS = 1000
DRAWS_DAILY = 200  # during the work of the day
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Site:
    """The newest readings that concern a model, their attributes by study, and the answers that count."""

    readings: Sequence[ReadingRecord]
    attributes: Mapping[str, Mapping[str, str]]
    definition: Definition
    truth: Settled

    @property
    def names(self) -> Sequence[str]:
        return self.definition.names

    @property
    def reported(self) -> list[ReadingRecord]:
        return [made for made in self.readings if made.status is ReportStatus.REPORTED]


def audit_site(
    store: Store,
    settings: Settings,
    model: ModelVersion,
    *,
    by: Sequence[str] = (),
    findings: Sequence[str] = (),
    draws: int = DRAWS,
    now: float,
    progress: Progress = silent,
) -> Audit:
    """The audit of what was read here by a model; ConfigurationError with too few patients or an unknown attribute.

    `by`: attributes; by default those of BY that divide anybody, and the site's own.
    """
    site = _site_of(store, settings, model)
    reported = site.reported
    if not reported:
        raise ConfigurationError(f"{model.name} {model.version} has read nothing here yet")
    groupings = {name: Grouping.of([site.attributes[r.study_id][name] for r in reported]) for name in site.names}
    chosen = tuple(by) or _dividing(groupings, site.names)
    points = _thresholds(model)
    request = Request(by=chosen, findings=tuple(findings), thresholds=points, draws=draws)
    provenance = _provenance(site, store, model, now)
    audit = run_audit(_table(reported, groupings, site.truth, model), request, provenance, progress)
    service = service_rows(site.readings, site.truth, site.attributes, chosen, audit, until=now)
    asked = audit.findings
    weighted = [
        row for name in asked for row in weighted_rows(reported, site.truth, name, threshold=points[name].value)
    ]
    return replace(audit, rows=(*_marked(audit.rows, site), *weighted, *service))


def keep_audit(store: Store, model: ModelVersion, audit: Audit) -> SiteAudit:
    """Sign an audit with the site's key, number it and keep it: reports quote the newest one."""
    signer = Signer.site(store.key.fairness_signing_seed)
    return store.site_audits.add(model.sha256, sign(audit, signer).model_dump(mode="json"))


def refresh_audits(store: Store, settings: Settings, models: Sequence[ModelVersion], *, now: float) -> None:
    """Make and keep a new audit of each model since whose last one somebody answered something."""
    answered_at = store.truths.newest_at()
    for model in models:
        last = store.site_audits.newest(model.sha256, until=now)
        if answered_at > (last.made_at if last else 0.0):
            with suppress(ConfigurationError):  # too few patients yet
                kept = keep_audit(store, model, audit_site(store, settings, model, draws=DRAWS_DAILY, now=now))
                _log.info("audit.made", model=f"{model.name} {model.version}", count=kept.audit_id)


def _site_of(store: Store, settings: Settings, model: ModelVersion) -> _Site:
    """What failed before any model came to it counts for every model."""
    definition = load_definition(cohorts_file(settings))
    rows = [made for made in store.readings.newest() if made.model_sha256 in (model.sha256, "")]
    attributes = {made.study_id: attributes_of(made.facts, definition) for made in rows}
    return _Site(rows, attributes, definition, settled(store.truths.all()))


def _dividing(groupings: Mapping[str, Grouping], names: Sequence[str]) -> tuple[str, ...]:
    own = [name for name in names if name not in Definition().names]
    return tuple(name for name in (*BY, *own) if len(groupings[name].values) > 1) or ("sex",)


def _table(
    reported: Sequence[ReadingRecord], groupings: Mapping[str, Grouping], truth: Settled, model: ModelVersion
) -> AuditTable:
    _, patients = np.unique([made.patient for made in reported], return_inverse=True)
    scores = {finding.name: _scores(reported, truth, finding.name) for finding in model.findings}
    return AuditTable(patients=patients.astype(np.int32), attributes=groupings, source=ScoresInMemory(scores))


def _scores(reported: Sequence[ReadingRecord], truth: Settled, finding: str) -> Scores:
    answers = [truth.get((made.study_id, finding)) for made in reported]
    return Scores(
        probabilities=np.array([made.probabilities.get(finding, np.nan) for made in reported], np.float64),
        truths=np.array([TRUTH_UNKNOWN if one is None else int(one.value) for one in answers], np.int8),
    )


def _thresholds(model: ModelVersion) -> dict[str, Threshold]:
    source = f"operating point of {model.name} {model.version}"
    return {
        finding.name: Threshold(finding=finding.name, value=finding.operating_point.threshold, source=source)
        for finding in model.findings
    }


def _marked(rows: Sequence[Row], site: _Site) -> list[Row]:
    """Rows that rest on truth say "among verified" where studies without a flag are not represented as they should."""
    words = {name: verification(site.reported, site.truth, name).words for name in {row.finding for row in rows}}
    return [
        replace(row, note="; ".join(part for part in (row.note, AMONG_VERIFIED) if part))
        if row.metric in (*WITH_TRUTH, *GAPS) and words[row.finding] and not row.note.startswith(SUPPRESSED)
        else row
        for row in rows
    ]


def _provenance(site: _Site, store: Store, model: ModelVersion, now: float) -> Provenance:
    reported = site.reported
    mine = {made.study_id for made in reported}
    sources = Counter(answer.source.value for (study, _), answer in site.truth.items() if study in mine)
    days = sorted(made.read_at for made in reported)
    return Provenance(
        code_version=version("candor"),
        made_at=_iso(now),
        source=SOURCE,
        input_sha256=_hash_of(site),
        model_name=model.name,
        model_version=model.version,
        model_sha256=model.sha256,
        window=(_iso(days[0])[:10], _iso(days[-1])[:10]),
        truth_source=", ".join(f"{source} {count}" for source, count in sources.most_common()) or "none yet",
        remarks=tuple(_remarks(site, store, model, now)),
    )


def _hash_of(site: _Site) -> str:
    """SHA-256 of all that the audit was made from: every reading, the answers that count, what cohorts are made of.

    As JSON, because a repr leaves out what must not be printed.
    """
    content = {
        "readings": [asdict(made) for made in sorted(site.readings, key=lambda made: made.study_id)],
        "answers": [asdict(site.truth[key]) for key in sorted(site.truth)],
        "cohorts": asdict(site.definition),
    }
    text = json.dumps(content, sort_keys=True, default=_as_json)
    return hashlib.sha256(text.encode()).hexdigest()


def _as_json(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)  # a set has another order in each process


def _remarks(site: _Site, store: Store, model: ModelVersion, now: float) -> list[str]:
    findings = [finding.name for finding in model.findings]
    verified = [verification(site.reported, site.truth, name) for name in findings]
    remarks = []
    if not all(found.is_blind_read for found in verified):
        remarks.append(
            "Among verified: studies without a flag were not read blind for every finding, so sensitivity is too high "
            "by an unknown amount (candor truth blind-list)."
        )
    if any(found.is_blind_read and not found.is_even for found in verified):
        remarks.append(
            "Among verified: studies with and without a flag were not verified at the same rate, so figures by cohort "
            "are not those of all its studies; those of all patients stand in the weighted rows."
        )
    if policy := store.operating_policies.in_force(model.sha256, at=now):
        remarks.append(
            f"Operating policy {policy.policy_id} is in force and reports use its thresholds. Rates against truth and "
            "flag rates are at the model's own operating points; overrides, which studies count as flagged when rates "
            "are weighted, and alarms of drift go by the flags that readers saw."
        )
    return remarks


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
