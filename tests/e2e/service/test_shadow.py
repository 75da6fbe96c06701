"""A shadow version reads what was reported, afterwards, and nothing of it ever leaves."""

import json

from core.domain.reading import GroundTruth, TruthSource
from core.domain.registration import ModelState
from core.domain.report import ReportStatus
from core.domain.study import StudyState
from tests.e2e.house import wait_until
from tests.e2e.reports import arrived, reports_by_study
from tests.e2e.studies import radiograph, send
from tests.known_model import make_known_model


def stricter(folder):
    """A second version of the known model, whose operating point nothing reaches."""
    package = make_known_model(folder, version="2.0.0")
    description = json.loads((package / "candor.json").read_text())
    description["findings"][0]["operating_point"]["threshold"] = 1.0
    description["findings"][0]["calibration"] = {"scale": 0.5, "shift": 0.0}
    (package / "candor.json").write_text(json.dumps(description))
    return package


def test_a_shadow_reads_after_the_report_and_is_compared_but_never_reported(house, archive):
    registration = house.register(stricter(house.folder / "second"))
    assert registration.state is ModelState.SHADOW
    house.start("worker")
    house.start("node")
    house.wait_ready()
    images = [radiograph(number, bright=number % 2 == 0) for number in range(6)]
    send(images, house.port)
    with house.store() as store:
        wait_until(
            lambda: len(store.shadows.all("bright_patch", "2.0.0")) == len(images), seconds=90, what="the shadow"
        )
        made = store.shadows.all("bright_patch", "2.0.0")
        assert {one.status for one in made} == {ReportStatus.REPORTED}
        assert not any(one.above["bright_patch"] for one in made)
        assert store.studies.counts()[StudyState.REPORTED] == len(images)
        assert store.predictions.runs() == len(images)  # of the live version only
        for one in made:
            assert store.reports.find(one.revision).filed_at < one_read_at(store, one)
        store.truths.add(
            [
                GroundTruth(
                    study_id=store.study_id_of(image.study_instance_uid),
                    finding="bright_patch",
                    value=image.bright,
                    source=TruthSource.CSV,
                    reader="r",
                    ai_seen=False,
                    at=0.0,
                )
                for image in images
            ]
        )
    assert {len(found) for found in reports_by_study(archive).values()} == {1}
    assert all("2.0.0" not in str(dataset) for dataset in arrived(archive))

    found = json.loads(house.run("models", "compare", "bright_patch", "1.0.0", "2.0.0", "--json").stdout)
    assert (found["studies"], found["read_by_both"], found["not_read_by_shadow"]) == (6, 6, {})
    (entry,) = found["findings"]
    assert entry["flag_rate"]["live"][0] == 0.5
    assert entry["flag_rate"]["shadow"][0] == 0.0
    assert entry["flag_rate"]["difference"][0] == -0.5
    assert entry["correlation"][0] > 0.999  # the same scores, calibrated otherwise
    assert (entry["sensitivity"]["n"], entry["specificity"]["n"]) == (3, 3)
    assert (entry["sensitivity"]["live"][0], entry["sensitivity"]["shadow"][0]) == (1.0, 0.0)
    table = house.run("models", "compare", "bright_patch", "1.0.0", "2.0.0").stdout
    assert "Where truth is known" in table

    house.run("models", "live", "bright_patch", "2.0.0")
    rows = {(r["name"], r["version"]): r["state"] for r in json.loads(house.run("models", "list", "--json").stdout)}
    assert rows["bright_patch", "1.0.0"] == "retired"
    assert rows["bright_patch", "2.0.0"] == "live"


def one_read_at(store, made):
    from sqlalchemy import select

    from core.store.tables.models import shadow_readings

    with store.engine.connect() as connection:
        query = select(shadow_readings.c.read_at).where(shadow_readings.c.report_id == made.revision.report_id)
        return connection.execute(query).scalar_one()


def test_a_shadow_that_takes_none_of_the_images_says_why(house, archive):
    accepts = json.loads((make_known_model(house.folder / "x") / "candor.json").read_text())["accepts"]
    change = {"accepts": {**accepts, "minimum_age_years": 70}}
    house.register(make_known_model(house.folder / "second", version="2.0.0", change=change))
    house.start("worker")
    house.start("node")
    house.wait_ready()
    send([radiograph(1, bright=True)], house.port)
    with house.store() as store:
        wait_until(lambda: store.shadows.all("bright_patch", "2.0.0"), seconds=60, what="the shadow")
        (made,) = store.shadows.all("bright_patch", "2.0.0")
    assert made.status is ReportStatus.NOT_ANALYSED
    assert "younger than 70" in made.reason
