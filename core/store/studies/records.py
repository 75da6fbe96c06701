"""Domain nouns as JSON columns and back."""

from __future__ import annotations

import dataclasses

from pydantic import JsonValue, TypeAdapter

from core.domain.study import Instance, Patient

_INSTANCE = TypeAdapter(Instance)
_PATIENT = TypeAdapter(Patient)
_COLUMNS = {"object_key", "size_bytes", "arrival"}


def instance_to_json(instance: Instance) -> JsonValue:
    """An Instance as JSON values; `object_key`, `size_bytes` and `arrival` have columns of their own."""
    record: JsonValue = _INSTANCE.dump_python(instance, mode="json", exclude=_COLUMNS)
    return record


def instance_from_json(record: dict[str, JsonValue], *, object_key: str, size_bytes: int, arrival: int) -> Instance:
    """The inverse of `instance_to_json`."""
    if "flags" in record:  # as versions before 0.2 wrote it
        record = {"header_flags": record["flags"], **record}
    instance = _INSTANCE.validate_python(record)
    return dataclasses.replace(instance, object_key=object_key, size_bytes=size_bytes, arrival=arrival)


def patient_to_json(patient: Patient) -> JsonValue:
    """A Patient as JSON values. Only for the encrypted database."""
    record: JsonValue = _PATIENT.dump_python(patient, mode="json")
    return record


def patient_from_json(record: JsonValue) -> Patient:
    """The inverse of `patient_to_json`."""
    return _PATIENT.validate_python(record)
