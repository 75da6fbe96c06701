"""From a study to what the audit may know of it: pseudonyms, and the facts that cohorts are made of.

This is where identity ends: below here stand keyed hashes, in `fairness` nothing else arrives.
"""

from __future__ import annotations

import re
from dataclasses import replace

from core.domain.reading import CohortFacts, ReadingRecord
from core.domain.report import Report, ReportStatus
from core.domain.study import Instance, Study
from core.pseudonym import pseudonym

_MOBILE = re.compile(r"\b(?:portable|mobile|bedside|mobilett|mobiledart)\b", re.IGNORECASE)
_FIXED = re.compile(r"\b(?:fixed|upright|bucky|wall ?stand)\b", re.IGNORECASE)


def facts_of(study: Study, instance: Instance | None) -> CohortFacts:
    """What the header of the image that was read says; the first image of the study when none was."""
    image = instance or next((i for series in study.series for i in series.instances), None)
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


def reading_of(report: Report, key: bytes, *, turnaround_seconds: float | None) -> ReadingRecord:
    """The audit's row of a report; `key` is the site's pseudonym key."""
    study, model = report.study, report.model
    return ReadingRecord(
        study_id=study.study_id,
        revision=study.revision,
        patient=patient_pseudonym(study, key),
        status=report.status,
        facts=facts_of(study, _instance(study, report.analysed_sop_instance_uid)),
        model_name=model.name[:64] if model else "",
        model_version=model.version[:32] if model else "",
        model_sha256=model.sha256 if model else "",
        probabilities={finding.name: finding.probability for finding in report.findings},
        flags={finding.name: finding.is_positive for finding in report.findings},
        turnaround_seconds=turnaround_seconds,
        read_at=report.created_at.timestamp(),
    )


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
    """One name for one patient; a study without PatientID cannot be linked and stands for itself."""
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


def _instance(study: Study, sop_instance_uid: str) -> Instance | None:
    instances = (instance for series in study.series for instance in series.instances)
    return next((i for i in instances if i.sop_instance_uid == sop_instance_uid), None)
