"""Domain nouns as JSON columns and back."""

from __future__ import annotations

import dataclasses
from datetime import date, datetime
from typing import Any

from core.domain.study import Instance, Patient

_TUPLES = (
    "patient_orientation",
    "image_type",
    "header_flags",
    "image_position_patient",
    "image_orientation_patient",
    "pixel_spacing",
)


def instance_to_json(instance: Instance) -> dict[str, Any]:
    """An Instance as JSON values; `object_key`, `size_bytes` and `arrival` have columns of their own."""
    record = dataclasses.asdict(instance)
    record["acquired_at"] = instance.acquired_at.isoformat() if instance.acquired_at else None
    del record["object_key"], record["size_bytes"], record["arrival"]
    return record


def instance_from_json(record: dict[str, Any], *, object_key: str, size_bytes: int, arrival: int) -> Instance:
    """The inverse of `instance_to_json`."""
    if "flags" in record:  # as versions before 0.2 wrote it
        record = {"header_flags": record["flags"], **{name: value for name, value in record.items() if name != "flags"}}
    values = {**record, **{name: tuple(record.get(name, ())) for name in _TUPLES}}
    values["acquired_at"] = datetime.fromisoformat(record["acquired_at"]) if record["acquired_at"] else None
    return Instance(**values, object_key=object_key, size_bytes=size_bytes, arrival=arrival)


def patient_to_json(patient: Patient) -> dict[str, Any]:
    """A Patient as JSON values. Only for the encrypted database."""
    record = dataclasses.asdict(patient)
    record["patient_birth_date"] = patient.patient_birth_date.isoformat() if patient.patient_birth_date else None
    return record


def patient_from_json(record: dict[str, Any]) -> Patient:
    """The inverse of `patient_to_json`."""
    born = record["patient_birth_date"]
    return Patient(**{**record, "patient_birth_date": date.fromisoformat(born) if born else None})
