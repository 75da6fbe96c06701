"""Prometheus metrics, counted in the store when they are asked for, so that they are right after a restart too.

Labels are states, statuses and the names of destinations; nothing about a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.processes.heartbeat import living
from core.clock import month_of
from core.settings import Settings
from core.store.store import Store
from core.store.studies.overview import Overview


class StoreCollector(Collector):
    """What the store knows, as metric families."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._overview = Overview(store.engine)

    def collect(self) -> Iterator[Metric]:
        """Every family, counted now."""
        yield self._by_state()
        yield self._received()
        yield self._reports()
        yield from self._destinations()
        yield self._alarms()
        yield _counter("candor_model_runs", "Times that a model ran.", self._store.predictions.runs())
        yield _counter("candor_quarantined_instances", "Objects kept apart.", self._overview.quarantined())
        yield _gauge("candor_free_bytes", "Free bytes on the disk of the objects.", self._store.objects.free_bytes())
        yield _gauge("candor_minimum_free_bytes", "The watermark.", self._settings.minimum_free_bytes)
        yield _gauge("candor_processes", "Processes that gave a heartbeat.", len(living(self._store)))

    def _by_state(self) -> Metric:
        family = GaugeMetricFamily("candor_studies", "Studies by state.", labels=["state"])
        for state, count in self._store.studies.counts().items():
            family.add_metric([state], count)
        return family

    def _received(self) -> Metric:
        family = CounterMetricFamily("candor_received_instances", "Objects kept, by role.", labels=["role"])
        for role, count in self._overview.instances_by_role().items():
            family.add_metric([role], count)
        return family

    def _reports(self) -> Metric:
        family = CounterMetricFamily("candor_reports", "Reports filed, by status.", labels=["status"])
        for status, count in self._overview.reports_by_status().items():
            family.add_metric([status], count)
        return family

    def _alarms(self) -> Metric:
        """By level and finding only: a cohort's name may hold what a sender wrote freely."""
        family = GaugeMetricFamily(
            "candor_cohort_alarms", "Cohorts out of bounds this month, by level.", labels=["level", "finding"]
        )
        month = month_of(self._store.now())
        counts = Counter((a.level, a.finding) for a in self._store.site_audits.alarms(since_month=month))
        for labels, count in counts.items():
            family.add_metric(list(labels), count)
        return family

    def _destinations(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("candor_deliveries", "Objects in the outbox.", labels=["destination", "status"])
        failures = GaugeMetricFamily(
            "candor_destination_failures", "Failed attempts in a row, by destination.", labels=["destination"]
        )
        for state in self._store.outbox.states([d.name for d in self._settings.destinations]):
            for status in ("pending", "sent", "committed", "refused"):
                family.add_metric([state.destination, status], getattr(state, status))
            failures.add_metric([state.destination], state.failures)
        yield family
        yield failures
        yield self._uncommitted()
        yield _gauge(
            "candor_reports_without_destination",
            "Reports that no destination gets.",
            self._store.lookup.without_destination(),
        )

    def _uncommitted(self) -> Metric:
        family = GaugeMetricFamily(
            "candor_uncommitted_objects",
            "Objects taken more than an hour ago without the storage commitment that was asked for.",
            labels=["destination"],
        )
        overdue = self._store.commitments.overdue()
        for destination in self._settings.destinations:
            family.add_metric([destination.name], overdue.get(destination.name, 0))
        return family


def exposition(store: Store, settings: Settings) -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StoreCollector(store, settings))
    return generate_latest(registry)


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(name, words, value=value)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)
