"""The gates of a registration: for whom does the model fail (fairness audit), and may its maps be shown (explanation)?

Both read what the maker put into the package, and only where it is of these very weights. The gate for maps is run here
unless a maker whom the site trusts signed what it found, or where the site has data of its own; the result is then
in the record, not in the package, whose bytes are the maker's. What the policy of the site blocks is not registered;
maps that failed are withheld, and the model may run without them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.errors import ConfigurationError
from core.settings import Settings
from explain.gate.result import objection, read_result
from fairness.audit.nouns import Audit, audit_from
from fairness.audit.signature import verify
from fairness.policy import Level, judge, load_policy
from models.package.format import ModelPackage
from pipeline.watch.drift import policy_file

AUDIT = Path("docs/audit.json")
FAIRNESS, EXPLANATION = "fairness", "explanation"
Checks = dict[str, dict[str, Any]]


def run_checks(package: ModelPackage, settings: Settings, data: Path | None = None, *, may_run: bool = True) -> Checks:
    """What each gate found: level (ok, warn, block), reasons, and what it judged; JSON values.

    `data`: a labelled set to run both on, whatever the package says of itself. Without `may_run` nothing is run that
    takes longer than reading: the package's word is taken for its maps, signed or not.
    """
    if data and package.reads.is_volume:
        raise ConfigurationError("a labelled set of images cannot check a model of volumes; leave --images out")
    return {FAIRNESS: _fairness(package, settings, data), EXPLANATION: _explanation(package, data, may_run=may_run)}


def worst(gates: Checks) -> Level:
    """What the gates come to together."""
    order = list(Level)
    return max((Level(found["level"]) for found in gates.values()), key=order.index)


def reasons(gates: Checks, level: Level) -> list[str]:
    """Every reason that came to `level`, with its gate."""
    return [
        f"{gate}: {words}" for gate, found in gates.items() if found["level"] == level for words in found["reasons"]
    ]


def _fairness(package: ModelPackage, settings: Settings, data: Path | None) -> dict[str, Any]:
    audit = _audited_here(package, data) if data else _audit_of(package)
    if isinstance(audit, str):
        return _found(Level.WARN, [audit])
    verdict = judge(audit, load_policy(policy_file(settings)))
    origin = audit.provenance
    judged = {"rows": origin.rows, "patients": origin.patients, "made_at": origin.made_at, "source": origin.source}
    return _found(verdict.level, list(verdict.reasons), judged=judged)


def _audited_here(package: ModelPackage, data: Path) -> Audit:
    from pipeline.registration.evaluate import validation_audit

    return validation_audit(package, data)


def _audit_of(package: ModelPackage) -> Audit | str:
    """The maker's audit of these weights, or why there is none to judge."""
    if AUDIT.as_posix() not in package.files:
        return "the package holds no audit: for whom the model fails is not known"
    try:
        document = json.loads(package.read(AUDIT))
        audit = verify(document).audit if "signature" in document else audit_from(document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"{AUDIT} of {package.model.name} is no audit ({type(error).__name__})") from error
    if audit.provenance.model_sha256 != package.model.sha256:
        return "the audit in the package is of other weights: for whom these fail is not known"
    return audit


def _explanation(package: ModelPackage, data: Path | None, *, may_run: bool) -> dict[str, Any]:
    if package.maps_name is None:
        return _found(Level.OK, ["the model gives no maps"])
    document, made_here = (None if data else read_result(package)), False
    if may_run and (document is None or not package.signed_by or objection(document, package)):
        if package.reads.is_volume:
            words = ["there is no gate for maps of volumes yet, and no maker whom this site trusts signed for them"]
            return _found(Level.WARN, words, passed=False, made_here=True)
        from pipeline.registration.map_gate import gate

        document, made_here = gate(package, data).document(), True
    if document is None:
        return _found(Level.WARN, ["the package holds no result of this gate: its maps are withheld"], passed=False)
    if other := objection(document, package):
        return _found(Level.WARN, [f"the gate was passed by {other}: maps are withheld"], passed=False)
    passed = bool(document["passed"])
    words = [] if passed else [f"failed {', '.join(document['failed'])}: its maps are withheld"]
    level = Level.OK if passed else Level.WARN
    return _found(level, words, passed=passed, made_here=made_here, document=document)


def _found(level: Level, words: list[str], **more: Any) -> dict[str, Any]:
    return {"level": level.value, "reasons": words, **more}
