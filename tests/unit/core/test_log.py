"""The log: every way a person's name or a UID could get into it, tried in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.log import UID_MARKER, hide_uids, keep_allowed_keys

START = """
import logging, sys, warnings
import structlog
from core.log import configure_logging
from core.errors import DiskFull, InvalidStudy
configure_logging(json=True, level="info")
log = structlog.get_logger()
"""


def lines(program: str) -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, "-c", START + program], capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert "CANARY" not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_an_event_is_one_json_line() -> None:
    (line,) = lines("log.info('instance.kept', study_id='abc', size_bytes=512)\nlog.debug('below.level')")
    timestamp = line.pop("timestamp")
    assert timestamp.endswith("Z")
    assert line == {"event": "instance.kept", "level": "info", "study_id": "abc", "size_bytes": 512}


def test_keys_that_are_not_on_the_list_are_dropped_and_counted() -> None:
    (line,) = lines("log.info('instance.kept', patient_name='CANARY^JANE', PatientID='CANARY', study='abc')")
    assert line["dropped_keys"] == 2
    assert line["study"] == "abc"


def test_bound_keys_are_no_way_around_the_list() -> None:
    (line,) = lines("log.bind(patient_name='CANARY').info('instance.kept')")
    assert line["dropped_keys"] == 1


def test_a_sentence_in_place_of_an_events_name_is_dropped() -> None:
    (line,) = lines("log.info('received CANARY^JANE')")
    assert line["event"] == "event.without_name"


def test_an_object_is_named_by_its_type_alone() -> None:
    (line,) = lines(
        "from dataclasses import dataclass\n@dataclass\nclass Row:\n    name: str = 'CANARY'\n"
        "log.info('instance.kept', instance=Row(), reason=b'CANARY')"
    )
    assert (line["instance"], line["reason"]) == ("<Row>", "<bytes>")


@pytest.mark.parametrize("way", ["log.exception('step.failed')", "log.error('step.failed', exc_info=error)"])
def test_an_exception_of_a_library_keeps_its_class_and_place_only(way: str) -> None:
    (line,) = lines(f"try:\n    raise ValueError('CANARY^JANE')\nexcept ValueError as error:\n    {way}")
    assert line["error"] == "ValueError"
    assert line["where"] == "<string>:9"
    assert "message" not in line


def test_our_own_exceptions_keep_their_sentence() -> None:
    (line,) = lines("log.error('step.failed', exc_info=DiskFull('the disk is full'))")
    assert (line["error"], line["message"]) == ("DiskFull", "the disk is full")


def test_words_of_libraries_are_not_kept() -> None:
    (line,) = lines("logging.getLogger('sqlalchemy.pool').error('row %s', 'CANARY')")
    assert (line["event"], line["logger"], line["where"]) == ("library.message", "sqlalchemy.pool", "<string>:8")


def test_pydicom_and_pynetdicom_are_silent_even_when_imported_later_and_set_to_debug() -> None:
    assert (
        lines(
            "logging.getLogger('pynetdicom.acse').error('CANARY')\n"
            "import pydicom, pynetdicom\n"
            "logging.getLogger('pydicom').setLevel('DEBUG')\n"
            "logging.getLogger('pynetdicom.events').setLevel('DEBUG')\n"
            "logging.getLogger('pydicom').error('CANARY')\n"
            "logging.getLogger('pynetdicom.events').debug('CANARY')\n"
        )
        == []
    )


def test_a_warning_about_a_value_loses_the_value() -> None:
    (line,) = lines(
        "from pydicom.dataset import Dataset\nDataset().PatientBirthDate = 'CANARY-19'\nwarnings.simplefilter('always')"
    )
    assert (line["event"], line["category"]) == ("python.warning", "UserWarning")
    assert line["where"].startswith("pydicom/")


def test_dbos_writes_through_us_and_not_past_us() -> None:
    written = lines(
        "import dbos\nfrom dbos import DBOS\nDBOS(config={'name': 'candor', 'system_database_url': 'sqlite:///:memory:'})\n"
        "logging.getLogger('dbos').error('CANARY')"
    )
    assert written[-1]["event"] == "library.message"
    assert written[-1]["logger"] == "dbos"


@given(
    st.one_of(
        st.integers(10**9, 10**38).map(lambda n: f"2.25.{n}"),
        st.lists(st.integers(0, 10**12), min_size=5, max_size=5).map(lambda parts: ".".join(map(str, [1, *parts]))),
    ).filter(lambda uid: not uid.startswith("1.2.840.10008."))
)
def test_what_looks_like_a_uid_is_replaced(uid: str) -> None:
    for written in (uid, f"study {uid}, series", f"({uid})", f"UID={uid}.", f"/tmp/CT.{uid}.dcm", f"{uid}_1"):
        line = hide_uids(None, "info", {"event": "x", "reason": written, "objects": [{"a": uid}]})
        assert uid not in str(line)
        assert UID_MARKER in line["reason"]


@pytest.mark.parametrize(
    "text",
    ["192.168.100.200:11112", "version 2.13.0", "1.2.840.10008.5.1.4.1.1.1.1", "0.25", "2026-11-23T10:00:00.123"],
)
def test_addresses_versions_and_registered_classes_stay(text: str) -> None:
    assert hide_uids(None, "info", {"event": "x", "reason": text})["reason"] == text


def test_a_line_without_strange_keys_counts_none() -> None:
    assert keep_allowed_keys(None, "info", {"event": "a.b", "port": 1}) == {"event": "a.b", "port": 1}
