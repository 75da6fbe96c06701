"""Whether two headers speak of one patient: what contradicts, and what merely does not agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.domain.study import Patient

CONFLICT = "the images of this study name different patients"
_LEAST_DIFFERENCES = 2  # of name, birth date and sex, under one PatientID: an identifier that was given twice


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What a header says otherwise than that of the same image before.

    `keywords`: of the elements that reports are made of; none where what changed is nothing to a report.
    `names_patient`: whether one of them says who the patient is.
    """

    keywords: tuple[str, ...]
    names_patient: bool


def is_another(one: Patient, other: Patient) -> bool:
    """Whether these must be taken for two people.

    An identifier or its issuer that differs decides; where one is missing the name or the birth date does. Under one
    identifier a single difference may be a correction or a marriage, two are another person.
    """
    if _differ(one.patient_id, other.patient_id):
        return True
    if _differ(one.issuer_of_patient_id, other.issuer_of_patient_id):
        return True
    unlike = list(disagreements(one, other))
    if one.patient_id and other.patient_id:
        return len(unlike) >= _LEAST_DIFFERENCES
    return bool({"PatientName", "PatientBirthDate"} & set(unlike))


def disagreements(one: Patient, other: Patient) -> Iterator[str]:
    """The keywords of what both give and give differently, besides the identifier."""
    if one.patient_name and other.patient_name and not _is_same_name(one.patient_name, other.patient_name):
        yield "PatientName"
    if one.patient_birth_date and other.patient_birth_date and one.patient_birth_date != other.patient_birth_date:
        yield "PatientBirthDate"
    if _differ(one.patient_sex, other.patient_sex):
        yield "PatientSex"


def conflict_of(first: Patient, others: Sequence[Patient]) -> str:
    """Why the images of a study cannot be of one patient, in words without identity; empty when they can."""
    if not any(is_another(first, other) for other in others):
        return ""
    differing = [keyword for keyword, differs in _all_differences(first, others) if differs]
    return f"{CONFLICT} ({', '.join(differing)})"


def doubts_of(first: Patient, others: Sequence[Patient]) -> tuple[str, ...]:
    """What a report must say of images that are taken for one patient's and do not agree in everything."""
    unlike = dict.fromkeys(keyword for other in others for keyword in disagreements(first, other))
    return tuple(f"The images of this study do not agree in {keyword}" for keyword in unlike)


def _all_differences(first: Patient, others: Sequence[Patient]) -> Iterator[tuple[str, bool]]:
    yield "PatientID", any(_differ(first.patient_id, other.patient_id) for other in others)
    issuers = [other.issuer_of_patient_id for other in others]
    yield "IssuerOfPatientID", any(_differ(first.issuer_of_patient_id, issuer) for issuer in issuers)
    for keyword in ("PatientName", "PatientBirthDate", "PatientSex"):
        yield keyword, any(keyword in disagreements(first, other) for other in others)


def _differ(one: str, other: str) -> bool:
    return bool(one and other) and one.strip() != other.strip()


def _is_same_name(one: str, other: str) -> bool:
    """Whether one of the ways in which both are written (PS3.5 6.2.1.1: Latin, ideographic, phonetic) is the same."""
    pairs = [(a, b) for a, b in zip(_written(one), _written(other), strict=False) if a and b]
    return not pairs or any(a == b for a, b in pairs)


def _written(name: str) -> list[tuple[str, ...]]:
    """The component groups, each without empty components at its end, without case and without doubled spaces."""
    return [_components(group) for group in name.split("=")]


def _components(group: str) -> tuple[str, ...]:
    parts = [" ".join(part.casefold().split()) for part in group.split("^")]
    while parts and not parts[-1]:
        parts.pop()
    return tuple(parts)
