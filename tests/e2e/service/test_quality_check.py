"""The quality check, through the door: a study with a fault comes back as "could not analyse, because"."""

from __future__ import annotations

import io

import numpy as np
import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import generate_uid

from core.domain.study import StudyState
from datasets.demo.studies import FOLDER
from tests.e2e.house import House, destination, wait_until
from tests.e2e.reports import SR, arrived, reports_by_study
from tests.e2e.studies import SIDE, Radiograph, radiograph, radiograph_of, send
from tests.known_model import make_known_model
from tests.known_quality_check import add_known_quality_check


def items_of(report):
    """All content items of an SR, at any depth."""
    for item in report.get("ContentSequence", ()):
        yield item
        yield from items_of(item)


def texts_of(report):
    """All texts of an SR in one."""
    return " ".join(str(item.TextValue) for item in items_of(report) if item.ValueType == "TEXT")


@pytest.fixture
def gated(tmp_path, archive):
    """A house with the known model behind the known check."""
    package = add_known_quality_check(make_known_model(tmp_path / "packages"))
    yield from running(tmp_path / "gated", archive, (package,))


@pytest.fixture
def shipped(tmp_path, archive):
    """A house with the models that ship."""
    yield from running(tmp_path / "shipped", archive, ())


def running(folder, archive, packages):
    folder.mkdir()
    arriving = (destination("ARCHIVE", archive.port),)
    house = House(folder, lines=("quiet_seconds = 0.5",), destinations=arriving, packages=packages)
    house.make()
    house.start("worker")
    house.start("node")
    house.wait_ready()
    yield house
    house.kill_tree()


def test_a_faulty_study_comes_back_unscored_and_the_gate_looks_once(gated, archive):
    pixels = np.full((SIDE, SIDE), 20, np.uint8)
    pixels[SIDE // 2 :] = 240
    faulty, sound = radiograph_of(1, pixels), radiograph(2, bright=True)
    send([faulty, sound], gated.port)
    wait_until(lambda: len(archive.filed) >= 5, seconds=60, what="one SR, and one with pictures")
    (report,) = reports_by_study(archive)[faulty.study_instance_uid]
    assert "Could not analyse, because: it is upside down (quality check: probability 1" in texts_of(report)
    assert not [item for item in items_of(report) if item.ValueType == "NUM"]  # no score, no probability
    assert {d.SOPClassUID for d in arrived(archive) if d.StudyInstanceUID == faulty.study_instance_uid} == {SR}
    assert "Could not analyse" not in texts_of(reports_by_study(archive)[sound.study_instance_uid][0])
    with gated.store() as store:
        assert store.studies.counts()[StudyState.NOT_ANALYSED] == 1
        assert store.predictions.runs() == 2  # read ahead, then remembered: the refusal too


def test_a_rotated_radiograph_is_not_scored_by_the_model_that_ships(shipped, archive):
    """The demo's sound radiograph as it is, and turned by a quarter: the first is reported, the second is not."""
    sound = dcmread(FOLDER / "normal.dcm")
    turned = dcmread(FOLDER / "normal.dcm")
    for dataset in (sound, turned):
        dataset.decompress(generate_instance_uid=False)  # the tests send uncompressed
    turned.PixelData = np.ascontiguousarray(np.rot90(turned.pixel_array)).tobytes()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        setattr(turned, keyword, generate_uid(None, [keyword]))
    turned.file_meta.MediaStorageSOPInstanceUID = turned.SOPInstanceUID
    send([wrapped(sound), wrapped(turned)], shipped.port)
    wait_until(lambda: len(reports_by_study(archive)) == 2, seconds=120, what="both reports")
    reports = reports_by_study(archive)
    assert "Could not analyse" not in texts_of(reports[str(sound.StudyInstanceUID)][0])
    (report,) = reports[str(turned.StudyInstanceUID)]
    assert "Could not analyse, because: the image seems to be rotated" in texts_of(report)
    assert not [item for item in items_of(report) if item.ValueType == "NUM"]


def wrapped(dataset):
    """A data set as the tests' sender takes it."""
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return Radiograph(str(dataset.StudyInstanceUID), str(dataset.SOPInstanceUID), False, stream.getvalue())
