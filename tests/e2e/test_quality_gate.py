"""The quality gate, through the door: a study with a fault comes back as "could not analyse, because"."""

from __future__ import annotations

import numpy as np
import pytest

from core.domain import StudyState
from tests.e2e.conftest import House
from tests.e2e.house import wait_until
from tests.e2e.reports import SR, arrived, reports_by_study
from tests.e2e.studies import SIDE, radiograph, radiograph_of, send
from tests.known_gate import add_known_gate


def items_of(report):
    """All content items of an SR, at any depth."""
    for item in report.get("ContentSequence", ()):
        yield item
        yield from items_of(item)


def texts_of(report):
    """All texts of an SR in one."""
    return " ".join(str(item.TextValue) for item in items_of(report) if item.ValueType == "TEXT")


@pytest.fixture
def gated(house: House) -> House:
    add_known_gate(house.folder / "models" / "bright_patch")
    return house


def test_a_faulty_study_comes_back_unscored_and_the_gate_looks_once(gated, archive):
    pixels = np.full((SIDE, SIDE), 20, np.uint8)
    pixels[SIDE // 2 :] = 240
    faulty, sound = radiograph_of(1, pixels), radiograph(2, bright=True)
    gated.start("worker")
    gated.start("node")
    gated.wait_ready()
    send([faulty, sound], gated.port)
    wait_until(lambda: len(archive.filed) >= 5, seconds=60, what="one SR, and one with pictures")
    (report,) = reports_by_study(archive)[faulty.study_instance_uid]
    assert "Could not analyse, because: it is upside down (quality gate: probability 1" in texts_of(report)
    assert not [item for item in items_of(report) if item.ValueType == "NUM"]  # no score, no probability
    assert {d.SOPClassUID for d in arrived(archive) if d.StudyInstanceUID == faulty.study_instance_uid} == {SR}
    assert "Could not analyse" not in texts_of(reports_by_study(archive)[sound.study_instance_uid][0])
    with gated.store() as store:
        assert store.studies.counts()[StudyState.NOT_ANALYSED] == 1
        assert store.predictions.runs() == 2  # read ahead, then remembered: the refusal too
