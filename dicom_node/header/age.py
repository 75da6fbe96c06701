"""How old the patient is: from the age, else from birth date and study date; a child must never pass for an adult."""

from __future__ import annotations

import re
from datetime import date

from dicom_node.header.values import Values, whole_years

_SAME_YEARS = 1.5  # an age is rounded, and counted at the order or at the image
_WHEN = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
_YEAR = re.compile(r"(18|19|20)\d\d(?=\D|00|$|\d{4})")
DISAGREE = "PatientAge and PatientBirthDate disagree, so the lower age counts"
BORN_LATER = "PatientBirthDate is after StudyDate"


def patient_age(values: Values) -> tuple[float | None, bool]:
    """The age in years, None where it is not known, and whether one is stated that cannot be read.

    Where age and birth date disagree the lower one counts, and the values note it.
    """
    stated, by_birth = values.age_years("PatientAge"), _by_birth_date(values)
    if stated is not None and by_birth is not None:
        if abs(stated - by_birth) <= _SAME_YEARS:
            return stated, False
        values.note(DISAGREE)
    ages = [age for age in (stated, by_birth) if age is not None]
    if ages:
        return min(ages), False
    return None, bool(values.text("PatientAge")) or _is_birth_date_unreadable(values)


def _by_birth_date(values: Values) -> float | None:
    """Completed years at the study; of a birth date that has only a year, the fewest that they can be."""
    at = _study_date(values)
    birth = values.day("PatientBirthDate")
    if birth is not None and at is not None and at < birth:
        values.note(BORN_LATER)
    if birth is not None:
        return whole_years(birth, at)
    match = _YEAR.match(values.text("PatientBirthDate"))
    if match is None or at is None or at.year < int(match[0]):
        return None
    return float(max(0, at.year - int(match[0]) - 1))


def _study_date(values: Values) -> date | None:
    return next((day for keyword in _WHEN if (day := values.day(keyword)) is not None), None)


def _is_birth_date_unreadable(values: Values) -> bool:
    """Whether a birth date is there that gives no age although the study has a date; zeros are a way to say nothing."""
    text = values.text("PatientBirthDate")
    is_stated = any(character.isdigit() and character != "0" for character in text)
    return is_stated and (values.day("PatientBirthDate") is None or _study_date(values) is not None)
