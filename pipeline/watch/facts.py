"""From a study to what the audit may know of it: pseudonyms, and the facts that cohorts are made of.

Identity ends here: from here on there are keyed hashes, and `fairness` gets nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.domain.model import ModelVersion
from core.domain.reading import CohortFacts, ReadingRecord
from core.domain.report import Finding, Reading, Report, ReportStatus
from core.domain.study import Instance, Study
from core.pseudonym import pseudonym

_MOBILE = re.compile(r"\b(?:portable|mobile|bedside|mobilett|mobiledart)\b", re.IGNORECASE)
_FIXED = re.compile(r"\b(?:fixed|upright|bucky|wall ?stand)\b", re.IGNORECASE)


def facts_of(study: Study, instance: Instance | None) -> CohortFacts:
    """What the header of the image that was read says; the first image of the study when none was."""
    image = instance or next(iter(study.instances), None)
    patient = CohortFacts(
        patient_sex=study.patient.patient_sex,
        ethnic_group=study.patient.ethnic_group,
        calling_ae_title=study.calling_ae_title,
    )
    if image is None:
        return patient
    return replace(
        patient,
        patient_age_years=image.patient_age_years,
        manufacturer=image.manufacturer,
        manufacturer_model_name=image.manufacturer_model_name,
        station_name=image.station_name,
        institution_name=image.institution_name,
        software_versions=image.software_versions,
        view_position=image.view_position,
        kvp=image.kvp,
        mobile=_is_mobile(image),
    )


def records_of(report: Report, key: bytes, *, turnaround_seconds: float | None) -> list[ReadingRecord]:
    """The audit's rows of a report, one for each model version that read it; `key` is the site's pseudonym key."""
    return [
        _record(report, model, [r for r in report.readings if r.model == model], key, turnaround_seconds)
        for model in report.models
    ]


def _record(
    report: Report, model: ModelVersion, readings: Sequence[Reading], key: bytes, turnaround_seconds: float | None
) -> ReadingRecord:
    """What one model said of a study, over all the inputs that it read."""
    study = report.study
    reported = [reading for reading in readings if reading.status is ReportStatus.REPORTED]
    findings = [finding for reading in reported for finding in reading.findings]
    first = (reported or readings)[0]
    return ReadingRecord(
        study_id=study.study_id,
        revision=study.revision,
        patient=patient_pseudonym(study, key),
        status=first.status,
        facts=facts_of(study, first.what.instances[0]),
        model_name=model.name[:64],
        model_version=model.version[:32],
        model_sha256=model.sha256,
        probabilities=highest(findings),
        above=any_above(findings),
        turnaround_seconds=turnaround_seconds if first.status is not ReportStatus.FAILED else None,
        read_at=report.created_at.timestamp(),
    )


def highest(findings: Iterable[Finding]) -> dict[str, float]:
    """By finding, the highest probability among the images of a study."""
    found: dict[str, float] = {}
    for finding in findings:
        found[finding.name] = max(found.get(finding.name, 0.0), finding.probability)
    return found


def any_above(findings: Iterable[Finding]) -> dict[str, bool]:
    """By finding, whether it is above its operating point on any image of a study."""
    found: dict[str, bool] = {}
    for finding in findings:
        found[finding.name] = found.get(finding.name, False) or finding.is_positive
    return found


def whole_studies(records: Iterable[ReadingRecord]) -> list[ReadingRecord]:
    """One record a study, over all the models that read it: what a person who reads the study answers for."""
    by_study: dict[str, ReadingRecord] = {}
    for made in records:
        before = by_study.get(made.study_id)
        by_study[made.study_id] = made if before is None else _joined(before, made)
    return list(by_study.values())


def _joined(one: ReadingRecord, other: ReadingRecord) -> ReadingRecord:
    """Two models' records of a study; the status is that of the one that reported, if one did."""
    reported = one if one.status is ReportStatus.REPORTED else other
    names = {**one.above, **other.above}
    above = {name: one.above.get(name, False) or other.above.get(name, False) for name in names}
    probabilities = {name: max(made.probabilities.get(name, 0.0) for made in (one, other)) for name in above}
    return replace(reported, probabilities=probabilities, above=above)


def failed_reading(study: Study, key: bytes, *, at: float) -> ReadingRecord:
    """The audit's row of a study that we failed to read: whom a service fails is a question of fairness too."""
    return ReadingRecord(
        study_id=study.study_id,
        revision=study.revision,
        patient=patient_pseudonym(study, key),
        status=ReportStatus.FAILED,
        facts=facts_of(study, None),
        read_at=at,
    )


def patient_pseudonym(study: Study, key: bytes) -> str:
    """One name for one patient; a study without PatientID cannot be linked and counts as one."""
    patient = study.patient
    if not patient.patient_id:
        return study.study_id
    return pseudonym(key, "patient", f"{patient.issuer_of_patient_id}\0{patient.patient_id}")


def _is_mobile(image: Instance) -> bool | None:
    """DICOM has no element that says portable or fixed, so the words that people and machines use must do."""
    words = f"{image.series_description} {image.study_description} {image.manufacturer_model_name}"
    if _MOBILE.search(words):
        return True
    return False if _FIXED.search(words) else None
