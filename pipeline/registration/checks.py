"""The checks of a registration: for whom does the model fail (fairness audit), and may its maps be shown (map gate)?

Both read what the maker put into the package, and only where it is of these very weights. The map gate is run here
unless a maker whom the site trusts signed what it found, or where the site has data of its own; the result then is in
the record, not in the package, whose bytes are the maker's. What the policy of the site blocks is not registered;
maps that failed are withheld, and the model may run without them.
"""

from __future__ import annotations

from pathlib import Path

from core.documents.model import KeepsUnknownKeys
from core.documents.reading import read_document, text_of
from core.domain.registration import CheckResult, Judged
from core.errors import ConfigurationError
from core.settings import Settings
from explain.gate.document import Verdict
from explain.gate.result import NOT_JUDGED, objection, read_result
from fairness.audit.document import AuditDocument
from fairness.audit.nouns import Audit
from fairness.audit.signature import verify
from fairness.policy import Level, judge, load_policy
from models.package.format import ModelPackage
from pipeline.watch.drift import policy_file

AUDIT = Path("docs/audit.json")
FAIRNESS, EXPLANATION = "fairness", "explanation"
Checks = dict[str, CheckResult]


def run_checks(package: ModelPackage, settings: Settings, data: Path | None = None, *, may_run: bool = True) -> Checks:
    """What each check found.

    `data`: a labelled set to run both on, whatever the package says of itself. Without `may_run` nothing is run that
    takes longer than reading: what the package says of its maps counts, signed or not.
    """
    if data and package.reads.is_volume:
        raise ConfigurationError("a labelled set of images cannot check a model of volumes; leave --images out")
    return {
        FAIRNESS: _check_fairness(package, settings, data),
        EXPLANATION: _check_maps(package, data, may_run=may_run),
    }


def worst(checks: Checks) -> Level:
    """What the checks come to together."""
    order = list(Level)
    return max((Level(found.level) for found in checks.values()), key=order.index)


def reasons(checks: Checks, level: Level) -> list[str]:
    """Every reason that came to `level`, with its check."""
    return [f"{name}: {words}" for name, found in checks.items() if found.level == level for words in found.reasons]


def _check_fairness(package: ModelPackage, settings: Settings, data: Path | None) -> CheckResult:
    audit = _audit_here(package, data) if data else _audit_of(package)
    if isinstance(audit, str):
        return CheckResult(level=Level.WARN.value, reasons=(audit,))
    verdict = judge(audit, load_policy(policy_file(settings)))
    origin = audit.provenance
    judged = Judged(rows=origin.rows, patients=origin.patients, made_at=origin.made_at, source=origin.source)
    return CheckResult(level=verdict.level.value, reasons=verdict.reasons, judged=judged)


def _audit_here(package: ModelPackage, data: Path) -> Audit:
    from pipeline.registration.evaluate import validation_audit

    return validation_audit(package, data)


def _audit_of(package: ModelPackage) -> Audit | str:
    """The maker's audit of these weights, or why there is none to judge."""
    if AUDIT.as_posix() not in package.files:
        return "the package holds no audit: for whom the model fails is not known"
    text, what = package.read(AUDIT), f"{AUDIT} of {package.model.name}"
    document = read_document(AuditDocument, text, what)
    audit = document.audit() if document.signature is None else verify(text, what=what).audit
    if audit.provenance.model_sha256 != package.model.sha256:
        return "the audit in the package is of other weights: for whom these fail is not known"
    return audit


def _check_maps(package: ModelPackage, data: Path | None, *, may_run: bool) -> CheckResult:
    if package.maps_name is None:
        return CheckResult(level=Level.OK.value, reasons=("the model gives no maps",))
    document, made_here = (None if data else read_result(package)), False
    if may_run and (document is None or not package.signed_by or objection(document, package)):
        if package.reads.is_volume:
            words = "there is no gate for maps of volumes yet, and no publisher whom this site trusts signed for them"
            return CheckResult(level=Level.WARN.value, reasons=(words,), passed=False, made_here=True)
        from pipeline.registration.map_gate import gate

        document, made_here = gate(package, data).document(), True
    if document is None:
        return _withhold("the package holds no result of this gate: its maps are withheld")
    if other := objection(document, package):
        return _withhold(f"the gate was passed by {other}: maps are withheld")
    ends = {
        Verdict.PASSED: (),
        Verdict.FAILED: (f"failed {', '.join(document.failed)}: its maps are withheld",),
        Verdict.NOT_JUDGED: (f"{NOT_JUDGED}: its maps are withheld; --images runs it on a labelled set",),
    }
    return CheckResult(
        level=(Level.OK if document.passed else Level.WARN).value,
        reasons=ends[document.verdict],
        passed=document.passed,
        made_here=made_here,
        document=KeepsUnknownKeys.model_validate_json(text_of(document)),
    )


def _withhold(why: str) -> CheckResult:
    return CheckResult(level=Level.WARN.value, reasons=(why,), passed=False)
