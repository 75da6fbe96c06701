"""How well the model does for patients like this one: the figures that go into a report, and where they come from.

Asked in this order, the first that knows enough about a finding answers: the newest audit of this site's own ground
truth, the audit of the maker's held-out patients that came with the model (`docs/audit.json`), and, where a model
brings none, the figures that its operating point was chosen for. Each line says which of them it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import structlog

from core.documents.reading import read_document, read_stored
from core.domain.model import ModelVersion, OperatingPoint
from core.domain.report import CohortMetric
from core.domain.study import Study
from core.errors import CandorError
from core.settings import Settings
from core.store.fairness.site_audits import SiteAudit
from core.store.store import Store
from fairness.audit.document import AuditDocument
from fairness.cohorts import ALL, attributes_of, load_definition
from fairness.service.lines import METRICS, Evidence, Figure, cohort_lines, figures_of
from inference.select import Choice
from models.package.format import ModelPackage
from pipeline.watch.facts import facts_of
from pipeline.watch.operating_points import line_of, points_in_force

AUDIT = "docs/audit.json"
VALIDATION = "the model's own held-out patients"
WITHOUT_AUDIT = "the model's validation patients as a whole, because no audit by cohort came with it"
_log = structlog.get_logger()


class Audits:
    """The audits that reports quote."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._audits = store.site_audits
        self._policies = store.operating_policies
        self._definition = load_definition(cohorts_file(settings))
        self._local: dict[int, Evidence] = {}
        self._validation: dict[str, Evidence | None] = {}

    def for_cohort(self, study: Study, choice: Choice, at: datetime) -> tuple[CohortMetric, ...]:
        """The cohort lines of a report, the findings in the model's order.

        `at` is when the report is made: its pictures, drawn later, quote the same audit as its SR.
        """
        model = choice.package.model
        mine = self.operating_points(study, choice, at)
        others = [finding.name for finding in model.findings if finding.name not in mine]
        lines = cohort_lines(others, self._attributes(study, choice), list(self._evidence(choice.package, at)))
        return (*(line_of(name, point) for name, point in mine.items()), *lines)

    def operating_points(self, study: Study, choice: Choice, at: datetime) -> dict[str, OperatingPoint]:
        """The operating points that a person signed off for this patient's cohort, by finding; usually none."""
        return points_in_force(self._policies, choice.package.model, self._attributes(study, choice), at)

    def _attributes(self, study: Study, choice: Choice) -> dict[str, str]:
        return attributes_of(facts_of(study, choice.what.instances[0]), self._definition)

    def _evidence(self, package: ModelPackage, at: datetime) -> Iterator[Evidence]:
        until, sha256 = at.timestamp(), package.model.sha256
        number = self._audits.newest_number(sha256, until=until)
        if number is not None and number not in self._local:
            newest = self._audits.newest(sha256, until=until)
            self._local = {newest.audit_id: _of_site(newest)} if newest else {}
        if number in self._local:
            yield self._local[number]
        if sha256 not in self._validation:
            self._validation[sha256] = _of_validation(package)
        if validation := self._validation[sha256]:
            yield validation
        yield _of_operating_points(package.model)


def cohorts_file(settings: Settings) -> Path:
    """Where the site defines cohorts of its own."""
    return settings.cohorts_file or settings.data_dir / "cohorts.toml"


def _of_site(audit: SiteAudit) -> Evidence:
    until = datetime.fromtimestamp(audit.made_at, UTC).date().isoformat()
    rows = read_stored(AuditDocument, audit.document, f"audit {audit.audit_id}").rows
    return Evidence(figures_of(rows), f"local reads to {until}, audit {audit.audit_id}")


def _of_validation(package: ModelPackage) -> Evidence | None:
    """The audit that came with the model, if one came; one that is broken or of other weights is not quoted."""
    if AUDIT not in package.files:
        return None
    try:
        document = read_document(AuditDocument, package.read(AUDIT), AUDIT)
    except CandorError as error:
        _log.warning("audit.unreadable", model=package.model.name, error=type(error).__name__)
        return None
    if document.provenance.model_sha256 == package.model.sha256:
        return Evidence(figures_of(document.rows), VALIDATION)
    _log.warning("audit.of_other_weights", model=package.model.name)
    return None


@lru_cache(maxsize=16)
def _of_operating_points(model: ModelVersion) -> Evidence:
    return Evidence(list(_point_figures(model)), WITHOUT_AUDIT)


def _point_figures(model: ModelVersion) -> Iterator[Figure]:
    """What the operating points were chosen for, as an audit of all patients."""
    for finding in model.findings:
        point = finding.operating_point
        for metric in METRICS:
            low, high = getattr(point, f"{metric}_interval") or (None, None)
            yield Figure(
                finding=finding.name,
                metric=metric,
                cohort=ALL,
                value=getattr(point, metric),
                low=low,
                high=high,
                positives=point.positives,
                negatives=point.negatives,
            )
