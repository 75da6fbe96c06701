"""When a result was made, in which zone, and which revision it is: in every object, not only in the SR."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from core.domain.report import ObjectKind, Report
from dicom_node.encode import encode
from tests.contract.encode.cases import IMAGE_UID, dx_source, image, report, study
from tests.contract.encode.sr.test_sr import conclusion


@pytest.fixture(autouse=True)
def _zone_of_before() -> Iterator[None]:
    yield
    time.tzset()  # after monkeypatch gave the variable back


def in_zone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TZ", name)
    time.tzset()


def objects(of: Report, **source: Any) -> dict[str, Dataset]:
    made = encode(of, {IMAGE_UID: dx_source(**source)}, {IMAGE_UID: image()}, list(ObjectKind))
    return {result.kind.value: pydicom.dcmread(BytesIO(result.data)) for result in made}


@pytest.mark.parametrize(
    ("zone", "made_at", "date", "clock", "offset"),
    [
        ("Europe/Berlin", datetime(2026, 3, 1, 22, 31, 27, tzinfo=UTC), "20260301", "233127.000000", "+0100"),
        ("Europe/Berlin", datetime(2026, 7, 1, 22, 31, 27, tzinfo=UTC), "20260702", "003127.000000", "+0200"),
        ("America/Los_Angeles", datetime(2026, 3, 2, 3, 0, 0, tzinfo=UTC), "20260301", "190000.000000", "-0800"),
        ("Asia/Kolkata", datetime(2026, 3, 1, 9, 30, 15, tzinfo=UTC), "20260301", "150015.000000", "+0530"),
        ("UTC", datetime(2026, 3, 1, 9, 30, 15, tzinfo=UTC), "20260301", "093015.000000", "+0000"),
    ],
)
def test_times_are_local_and_say_so(
    zone: str, made_at: datetime, date: str, clock: str, offset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_zone(monkeypatch, zone)
    made = objects(report(created_at=made_at))
    assert len(made) == 6
    for result in made.values():
        assert (str(result.ContentDate), str(result.ContentTime)) == (date, clock)
        assert (str(result.SeriesDate), str(result.InstanceCreationTime)) == (date, clock)
        assert result.TimezoneOffsetFromUTC == offset


def test_the_zone_of_the_source_goes_before_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    in_zone(monkeypatch, "Asia/Kolkata")
    for result in objects(report(), TimezoneOffsetFromUTC="-0500").values():
        assert (str(result.ContentTime), result.TimezoneOffsetFromUTC) == ("043015.250000", "-0500")


def second(before: datetime | None) -> Report:
    return report(
        study=study(revision=2),
        predecessor_sop_instance_uid="2.25.77",
        predecessor_series_instance_uid="2.25.78",
        predecessor_created_at=before,
    )


@pytest.mark.parametrize(
    ("before", "words"),
    [
        (datetime(2026, 3, 1, 8, 16, tzinfo=UTC), "rev. 2, replaces 03:16"),
        (datetime(2026, 2, 27, 2, 16, tzinfo=UTC), "rev. 2, replaces 26 Feb 21:16"),
        (None, "rev. 2"),
    ],
)
def test_a_revision_says_so_and_what_it_replaces(before: datetime | None, words: str) -> None:
    made = objects(second(before), TimezoneOffsetFromUTC="-0500")
    descriptions = {kind: str(result.SeriesDescription) for kind, result in made.items()}
    assert descriptions["sr"] == f"AI report (not verified), {words}"
    assert all(words in description for description in descriptions.values())
    assert all(len(description) <= 64 for description in descriptions.values())


def test_a_revision_has_series_numbers_of_its_own() -> None:
    first, later = objects(report()), objects(second(None))
    assert {kind: int(result.SeriesNumber) for kind, result in first.items()} == {
        "sr": 9001,
        "sc": 9002,
        "gsps": 9003,
        "seg": 9004,
        "seg-fractional": 9005,
        "sc-findings": 9008,
    }
    assert {int(later[kind].SeriesNumber) - int(first[kind].SeriesNumber) for kind in first} == {10}
    assert (int(first["sr"].InstanceNumber), int(later["sr"].InstanceNumber)) == (1, 2)


def test_the_text_says_which_revision_it_is() -> None:
    earlier = dataclasses.replace(second(None), predecessor_created_at=report().created_at)
    assert conclusion(earlier)[-1].startswith("This is rev. 2, replaces ")
    assert not [line for line in conclusion(report()) if "rev." in line]
