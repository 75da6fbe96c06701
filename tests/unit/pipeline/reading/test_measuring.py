"""A map is drawn with its trust figure or not at all, and every map gets its figure in time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import delete

from core.domain.report import Report
from core.settings import Settings
from core.store.store import Store, open_store
from core.store.tables.explanations import faithfulness
from models.package.format import ModelPackage, load_package
from pipeline.data_folder import make_data_folder
from pipeline.reading.measuring import NEVER_SECONDS
from pipeline.reading.reader import RememberingReader
from pipeline.reading.service import LocalModels
from pipeline.reading.turns import Turns
from pipeline.results_json import StudyEntry
from pipeline.story import Predecessor, Reader, read_study
from pipeline.trust import UNMEASURED
from pipeline.watch.cohort_lines import Audits
from tests.e2e.studies import radiograph
from tests.known_model import make_known_model
from tests.store_fixtures import arrival
from tests.unit.inference.test_select import image

AT = datetime(2026, 11, 2, tzinfo=UTC)


class Site:
    """One study with a bright patch, a reader with the known model, and how the site measures."""

    def __init__(self, settings: Settings, store: Store, package: ModelPackage, exit_stack: ExitStack) -> None:
        self.settings, self.store, self.package, self.turns = settings, store, package, Turns(1)
        self._models = LocalModels((package,), store.objects, threads=1)
        exit_stack.callback(self._models.close)
        came = arrival("1", "1", part10=radiograph(1, bright=True).part10)
        store.intake.keep(replace(came, instance=image(rows=256, columns=256)))
        revision = store.studies.assemble(store.study_id_of("1.2"))
        assert revision is not None
        self.study = store.studies.load(revision)

    def reader(self, **settings: object) -> RememberingReader:
        site = self.settings.model_copy(update=settings)
        return RememberingReader(self.store, (self.package,), self._models, self.turns, site)

    def read(self, reader: Reader) -> Report:
        audits = Audits(self.store, self.settings)
        return read_study(self.study, (self.package,), reader, audits, predecessor=Predecessor(), at=AT)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    settings = make_data_folder(folder / "data")
    with ExitStack() as exit_stack:
        store = open_store(settings)
        exit_stack.callback(store.close)
        yield Site(settings, store, load_package(make_known_model(folder)), exit_stack)


@pytest.fixture
def site(opened: Site) -> Site:
    """The site, with nothing measured yet."""
    with opened.store.engine.begin() as connection:
        connection.execute(delete(faithfulness))
    return opened


def shown(report: Report) -> bool:
    (reading,) = report.readings
    (saliency,) = reading.saliencies
    assert saliency.shown == (saliency.faithfulness is not None), "with its figure or not at all"
    assert saliency.withheld_reason == ("" if saliency.shown else UNMEASURED)
    return saliency.shown


def test_a_report_in_no_hurry_carries_its_map_with_its_figures(site: Site) -> None:
    assert shown(site.read(site.reader()))


@pytest.mark.parametrize("mode", ["off", "sampled"])
def test_a_map_that_the_site_does_not_measure_is_not_drawn_now_or_later(site: Site, mode: str) -> None:
    reader = site.reader(faithfulness=mode)
    report = site.read(reader)
    assert not shown(report)
    assert not shown(site.read(reader.as_filed(StudyEntry.of(report))))


def test_what_the_report_had_no_time_to_measure_is_measured_before_it_is_drawn(site: Site) -> None:
    reader = site.reader(faithfulness_wait_seconds=0.0)
    report = site.read(reader)
    assert not shown(report)
    assert any("not measured" in limitation for limitation in report.all_limitations)
    assert shown(site.read(reader.as_filed(StudyEntry.of(report))))


def while_crowded(site: Site, do: Callable[[], Report]) -> Report:
    """Do it while one study has the only place and another waits for it."""
    with site.turns.reporting():
        waiting = threading.Thread(target=lambda: site.turns.reporting().__enter__(), daemon=True)
        waiting.start()
        while not site.turns.is_crowded:
            waiting.join(0.01)
        return do()


def test_while_studies_wait_a_report_goes_out_without_its_map_and_the_pictures_follow_with_it(site: Site) -> None:
    reader = site.reader()
    report = while_crowded(site, lambda: site.read(reader))
    assert not shown(report)
    assert shown(site.read(reader.as_filed(StudyEntry.of(report))))


def test_where_a_report_may_wait_for_ever_no_crowd_takes_its_map(site: Site) -> None:
    """As `candor analyze` reads, which has nothing to hurry for."""
    reader = site.reader(faithfulness_wait_seconds=NEVER_SECONDS)
    assert shown(while_crowded(site, lambda: site.read(reader)))
