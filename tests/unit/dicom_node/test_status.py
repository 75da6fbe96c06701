"""The table of DIMSE statuses: whole, without overlaps, as in the standard, and the only place of their numbers."""

import io
import tokenize
from pathlib import Path

import pytest
from pynetdicom.status import STATUS_SUCCESS, STATUS_WARNING, STORAGE_SERVICE_CLASS_STATUS

from core.errors import DiskFull, InvalidStudy, Refusal
from dicom_node.status import STATUS_OF_REFUSAL, STATUSES, Handling, read_status, status_for

ROOT = Path(__file__).resolve().parents[3]


def numbers(status):
    return range(status.number, status.last + 1)


def test_no_two_rows_speak_of_the_same_number():
    found = [number for status in STATUSES for number in numbers(status)]
    assert len(found) == len(set(found))


@pytest.mark.parametrize("status", STATUSES, ids=lambda status: f"{status.number:04X}")
def test_each_row_has_its_clause_and_agrees_with_pynetdicom(status):
    assert status.clause.startswith("PS3.")
    for number in numbers(status):
        category = STORAGE_SERVICE_CLASS_STATUS[number][0]
        assert (status.handling is Handling.STORED) == (category in (STATUS_SUCCESS, STATUS_WARNING))
        assert read_status(number) == status


def test_every_refusal_has_a_status_of_its_own_that_is_in_the_table():
    assert set(STATUS_OF_REFUSAL) == set(Refusal)
    assert len(set(STATUS_OF_REFUSAL.values())) == len(Refusal)
    known = {number for status in STATUSES for number in numbers(status)}
    assert set(STATUS_OF_REFUSAL.values()) <= known


def test_an_unknown_status_is_one_that_no_retry_changes():
    assert read_status(0x1234).handling is Handling.GIVE_UP


def test_errors_are_answered_by_the_tree():
    assert status_for(DiskFull("x")) == 0xA700
    assert status_for(InvalidStudy("x", refusal=Refusal.DOES_NOT_MATCH)) == 0xA900
    assert status_for(ValueError("x")) == 0xC0FF


def test_no_other_file_has_a_status_as_a_number():
    known = {number for status in STATUSES for number in numbers(status)} - {0}
    found = []
    for room in ("core", "dicom_node", "pipeline", "api"):
        for path in (ROOT / room).rglob("*.py"):
            if path.name == "status.py" and path.parent.name == "dicom_node":
                continue
            for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
                if token.type == tokenize.NUMBER and token.string.lower().startswith("0x") and len(token.string) == 6:
                    found += [f"{path.relative_to(ROOT)}: {token.string}"] if int(token.string, 16) in known else []
    assert found == []
