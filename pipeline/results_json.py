"""A report as one entry of results.json: the contract that scripts are written against."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from core.domain.code import Code
from core.domain.explanation import Faithfulness, Saliency
from core.domain.model import ModelVersion
from core.domain.report import CohortMetric, Finding, Report
from core.wording import statement_of


def document(report: Report) -> dict[str, Any]:
    """The JSON values of a report; `objects` and `timings_seconds` are added by whoever knows them."""
    saliencies = {saliency.finding_name: saliency for saliency in report.saliencies}
    return {
        "study_instance_uid": report.study.study_instance_uid,
        "status": report.status.value,
        "reason": report.reason,
        "model": _model(report.model),
        "findings": [_finding(finding, saliencies.get(finding.name)) for finding in report.findings],
        "cohorts": [_cohort(metric) for metric in report.cohorts],
        "limitations": list(report.limitations),
        "explanation_gate": report.explanation_gate,
    }


def is_by(document: Mapping[str, Any], model: ModelVersion) -> bool:
    """Whether this very model version made the report of such an entry."""
    return bool(document["model"] == _model(model))


def figures_of(document: Mapping[str, Any]) -> dict[str, Faithfulness]:
    """The figures of the maps in such an entry, by finding."""
    maps = {finding["name"]: finding.get("saliency") or {} for finding in document["findings"]}
    return {name: Faithfulness(**found["faithfulness"]) for name, found in maps.items() if found.get("faithfulness")}


def _model(model: ModelVersion | None) -> dict[str, str] | None:
    return None if model is None else {"name": model.name, "version": model.version, "sha256": model.sha256}


def _finding(finding: Finding, saliency: Saliency | None) -> dict[str, Any]:
    point = finding.operating_point
    return {
        "name": finding.name,
        "code": _code(finding.code),
        "probability": finding.probability,
        "score": finding.score,
        "operating_point": {
            "threshold": point.threshold,
            "sensitivity": point.sensitivity,
            "specificity": point.specificity,
            "cohort": point.cohort,
            "policy": point.policy,
        },
        "positive": finding.is_positive,
        "saliency": None if saliency is None else _saliency(saliency),
    }


def _saliency(saliency: Saliency) -> dict[str, Any]:
    return {
        "method": saliency.method.meaning,
        "shown": saliency.shown,
        "withheld_reason": saliency.withheld_reason,
        "faithfulness": None if saliency.faithfulness is None else dataclasses.asdict(saliency.faithfulness),
    }


def _cohort(metric: CohortMetric) -> dict[str, Any]:
    return {
        "finding": metric.finding_name,
        "cohort": metric.cohort,
        "sensitivity": metric.sensitivity,
        "sensitivity_interval": metric.sensitivity_interval,
        "specificity": metric.specificity,
        "specificity_interval": metric.specificity_interval,
        "positives": metric.positives,
        "negatives": metric.negatives,
        "source": metric.source,
        "fallback": metric.fallback,
        "statement": statement_of(metric),
    }


def _code(code: Code) -> dict[str, str]:
    return {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
