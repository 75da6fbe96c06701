"""The audit of a CSV file of predictions: what a person asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from core.errors import ConfigurationError
from fairness.audit.csv import open_predictions
from fairness.audit.nouns import Audit, Provenance, Threshold
from fairness.audit.run import Progress, Request, run_audit
from models.package.format import ModelPackage, load_package


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asked for; `thresholds` as FINDING=0.35."""

    by: tuple[str, ...]
    findings: tuple[str, ...]
    thresholds: tuple[str, ...]
    model: Path | None


def audit_of(path: Path, asked: Asked, progress: Progress | None = None) -> Audit:
    """The audit of a CSV file of predictions; ConfigurationError says what is wrong with the file or the question."""
    chosen = thresholds_of(asked.thresholds)
    package = load_package(asked.model) if asked.model else None
    with open_predictions(path, asked.by) as file:
        findings = file.table.source.findings
        if unknown := [name for name in chosen if name not in findings]:
            raise ConfigurationError(f"--threshold: there is no finding {unknown[0]}; there are {', '.join(findings)}")
        request = Request(by=asked.by, findings=asked.findings, thresholds=_thresholds(findings, chosen, package))
        return run_audit(file.table, request, _provenance(path, package, file.sha256, file.window), progress)


def thresholds_of(given: Sequence[str]) -> dict[str, Threshold]:
    """The thresholds written as FINDING=0.35; ConfigurationError for what is none."""
    found = {}
    for text in given:
        finding, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not finding or not 0.0 <= value <= 1.0:
            raise ConfigurationError(f"--threshold {text}: write FINDING=0.35, a probability from 0 to 1")
        found[finding] = Threshold(finding=finding, value=value, source="chosen by --threshold")
    return found


def _thresholds(
    findings: Sequence[str], chosen: dict[str, Threshold], package: ModelPackage | None
) -> dict[str, Threshold]:
    points = {} if package is None else {one.name: one.operating_point for one in package.model.findings}
    source = "" if package is None else f"operating point of {package.model.name} {package.model.version}"
    found = {
        name: Threshold(finding=name, value=points[name].threshold, source=source)
        for name in findings
        if name in points
    }
    return found | chosen


def _provenance(path: Path, package: ModelPackage | None, sha256: str, window: tuple[str, str] | None) -> Provenance:
    model = None if package is None else package.model
    return Provenance(
        code_version=version("candor"),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=path.name,
        input_sha256=sha256,
        model_name=model.name if model else "",
        model_version=model.version if model else "",
        model_sha256=model.sha256 if model else "",
        window=window,
        truth_source="truth columns of the file",
    )
