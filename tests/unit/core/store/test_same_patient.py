"""Which headers speak of one patient; the answers are written by hand."""

from __future__ import annotations

from datetime import date

import pytest

from core.domain.study import Patient
from core.identity import conflict_of, doubts_of

BORN, BORN_LATER = date(1950, 1, 2), date(1950, 2, 1)
ONE = Patient(
    patient_id="4711", patient_name="Doe^Jane", patient_birth_date=BORN, patient_sex="F", issuer_of_patient_id="SITE"
)
NO_ID = {"patient_id": "", "issuer_of_patient_id": ""}


def changed(**changes: object) -> Patient:
    facts = {name: getattr(ONE, name) for name in ("patient_id", "patient_name", "patient_birth_date", "patient_sex")}
    return Patient(**{**facts, "issuer_of_patient_id": ONE.issuer_of_patient_id, **changes})


@pytest.mark.parametrize(
    ("changes", "conflict", "doubts"),
    [
        ({}, "", ""),
        ({"patient_id": " 4711 "}, "", ""),
        ({"patient_id": "4712"}, "PatientID", ""),
        ({"patient_id": "04711"}, "PatientID", ""),
        ({"patient_id": ""}, "", ""),
        ({"issuer_of_patient_id": "OTHER"}, "IssuerOfPatientID", ""),
        ({"issuer_of_patient_id": ""}, "", ""),
        ({"patient_name": "DOE^JANE"}, "", ""),
        ({"patient_name": "Doe^Jane^^^"}, "", ""),
        ({"patient_name": "Doe^Jane=\u5f20^\u5c0f"}, "", ""),
        ({"patient_name": "Doe^ Jane "}, "", ""),
        ({"patient_name": ""}, "", ""),
        ({"patient_name": "Roe^Jane"}, "", "PatientName"),  # a marriage
        ({"patient_birth_date": BORN_LATER}, "", "PatientBirthDate"),  # a slip
        ({"patient_birth_date": None}, "", ""),
        ({"patient_sex": "M"}, "", "PatientSex"),
        ({"patient_sex": ""}, "", ""),
        ({"patient_name": "Roe^Jane", "patient_birth_date": BORN_LATER}, "PatientName, PatientBirthDate", "both"),
        ({"patient_name": "Roe^Jim", "patient_sex": "M"}, "PatientName, PatientSex", "both"),
        ({"patient_birth_date": BORN_LATER, "patient_sex": "M"}, "PatientBirthDate, PatientSex", "both"),
        ({**NO_ID}, "", ""),
        ({**NO_ID, "patient_name": "Roe^Jane"}, "PatientName", "both"),
        ({**NO_ID, "patient_birth_date": BORN_LATER}, "PatientBirthDate", "both"),
        ({**NO_ID, "patient_sex": "M"}, "", "PatientSex"),
        ({**NO_ID, "patient_name": "", "patient_birth_date": None, "patient_sex": ""}, "", ""),
        ({"patient_id": "4712", "patient_name": "Roe^Jim"}, "PatientID, PatientName", "both"),
    ],
)
def test_what_says_that_images_are_of_two_patients(changes: dict[str, object], conflict: str, doubts: str) -> None:
    other = changed(**changes)
    for first, second in ((ONE, other), (other, ONE)):
        found = conflict_of(first, [first, second])
        assert found == (f"the images of this study name different patients ({conflict})" if conflict else "")
        assert "4711" not in found
        if doubts != "both":
            said = f"The images of this study do not agree in {doubts}"
            assert doubts_of(first, [second]) == ((said,) if doubts else ())


def test_the_third_image_counts_too() -> None:
    assert conflict_of(ONE, [ONE, changed(patient_id=""), changed(patient_id="4712")])
