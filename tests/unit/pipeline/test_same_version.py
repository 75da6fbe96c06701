"""Pictures and explanations after a report are made by the version that reported, or not at all."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.domain.explanation_job import JobState
from core.domain.input import ModelInput
from core.domain.report import Finding, ObjectKind, Reading, ReportStatus, ResultObject
from core.domain.study import StudyState
from core.settings import Settings
from core.settings.destinations import DicomDestination
from core.store.store import Store, open_store
from core.store.studies.reports import FiledReport
from core.store.studies.revisions import Revision
from models.package.format import ModelPackage, load_package
from pipeline.data_folder import make_data_folder
from pipeline.reading.explain_child import ExplainChild
from pipeline.reading.explain_jobs import ExplainJobs
from pipeline.reading.reader import RememberingReader
from pipeline.reading.service import LocalModels
from pipeline.reading.turns import Turns
from pipeline.results_json import StudyEntry
from pipeline.workflow import StudyWorkflow
from tests.contract.encode.cases import report
from tests.e2e.studies import radiograph
from tests.known_model import make_known_model
from tests.store_fixtures import arrival
from tests.unit.inference.test_select import image

PACS = DicomDestination(name="PACS", ae_title="PACS", objects=(ObjectKind.SR, ObjectKind.SC))


@dataclass(frozen=True)
class Site:
    """A site with one filed report of version 1.0.0, and whatever version lives now."""

    store: Store
    settings: Settings
    reader: RememberingReader
    revision: Revision


@pytest.fixture
def reported(tmp_path: Path) -> ModelPackage:
    return load_package(make_known_model(tmp_path / "reported"))


@pytest.fixture
def site(tmp_path: Path, reported: ModelPackage) -> Iterator[Site]:
    """The version that reported gave way to the next one, with the same weights."""
    live = load_package(make_known_model(tmp_path / "live", version="2.0.0"))
    settings = make_data_folder(tmp_path / "data").model_copy(update={"destinations": (PACS,)})
    store = open_store(settings)
    header = image(rows=256, columns=256)
    came = arrival("1", "1", part10=radiograph(1, bright=True).part10)
    store.intake.keep(dataclasses.replace(came, instance=header))
    models = LocalModels((live,), store.objects, threads=1)
    reader = RememberingReader(store, (live,), models, Turns(1), settings)
    yield Site(store, settings, reader, file_report(store, reported))
    models.close()
    store.close()


def file_report(store: Store, package: ModelPackage) -> Revision:
    revision = store.studies.assemble(store.study_id_of("1.2"))
    assert revision is not None
    store.studies.begin_reading([revision])
    filed = FiledReport(
        revision=revision,
        status=ReportStatus.REPORTED,
        document=entry_by(package).document(),
        sr_sop_instance_uid="2.25.1",
        sr_series_instance_uid="2.25.2",
        completed_at=time.time(),
        created_at=time.time(),
    )
    sr = ResultObject(
        kind=ObjectKind.SR,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.33",
        sop_instance_uid="2.25.1",
        series_instance_uid="2.25.2",
        data=b"sr",
    )
    store.reports.file(filed, [sr], {"PACS": frozenset(PACS.objects)})
    return revision


def entry_by(package: ModelPackage) -> StudyEntry:
    """The report of the one image, with its finding above the operating point."""
    (definition,) = package.model.findings
    point = definition.operating_point
    finding = Finding(name=definition.name, code=definition.code, probability=0.9, score=2.0, operating_point=point)
    what = ModelInput.of(image(rows=256, columns=256))
    reading = Reading(model=package.model, what=what, status=ReportStatus.REPORTED, findings=(finding,))
    of = dataclasses.replace(report(), readings=(reading,))
    return StudyEntry.of(of)


def test_the_report_names_the_package_that_may_speak_for_it(site: Site, reported: ModelPackage) -> None:
    filed = site.store.reports.find(site.revision)
    assert filed is not None
    assert reported.model.sha256 == site.reader.packages[0].model.sha256
    assert site.reader.packages_of(StudyEntry.model_validate(filed.document)) == ()
    site.reader.packages = (*site.reader.packages, reported)
    assert site.reader.packages_of(StudyEntry.model_validate(filed.document)) == (reported,)


def test_no_picture_is_drawn_by_another_version_and_the_study_is_reported(site: Site) -> None:
    workflow = StudyWorkflow(site.store, site.reader, site.settings, lambda: None)
    workflow._illustrate(site.revision)
    assert [waiting.kind for waiting in site.store.outbox.pending("PACS")] == [ObjectKind.SR]
    assert site.store.studies.counts()[StudyState.REPORTED] == 1


def test_another_version_explains_nothing_of_a_report(site: Site) -> None:
    runner = ExplainChild(site.reader.packages, site.store.objects, threads=1)
    try:
        turns = ExplainJobs(site.store, site.settings, site.reader, runner, holder="tests")
        job = site.store.explanations.ask(site.revision.study_id, "bright_patch", "class_activation")
        assert turns.tick()
    finally:
        runner.close()
    ended = site.store.explanations.find(job.job_id)
    assert ended is not None
    assert ended.state is JobState.FAILED
    assert "the version that reported is not live any more" in ended.reason
