"""The worker: assembles, reads and delivers. One per machine; a second one with the same name refuses to start."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import structlog
from dbos import DBOS

from core.errors import ConfigurationError
from core.files import open_private
from core.settings import Settings
from core.store.engine import open_workflow_engine
from core.store.store import Store, open_store
from models.package.format import ModelPackage
from models.registry import Registry
from pipeline.assemble import Anticipator, Assembler
from pipeline.deliver import DeliveryLoop
from pipeline.installed_models import site_registry
from pipeline.loops import Loop
from pipeline.reading.explain_child import ExplainChild
from pipeline.reading.explain_jobs import ExplainJobs
from pipeline.reading.reader import RememberingReader
from pipeline.reading.service import LocalModels, ShadowModels
from pipeline.reading.shadow import Shadow, ShadowLoop, since_of
from pipeline.reading.turns import Turns
from pipeline.watch.daily import Watch
from pipeline.workflow import StudyWorkflow

_log = structlog.get_logger()
WAITING_STUDIES = 256
"""Threads that wait for their turn; pipeline.reading.turns says how many work. After a burst many wait to be drawn, and
must not keep others from being reported."""
WORKFLOW_VERSION = "1"
"""Pinned: with a changed version DBOS would leave unfinished work of the old one behind. Raise it only together with
a migration of what is in flight."""


class Worker:
    """The loops and the workflow engine of one worker process."""

    def __init__(self, settings: Settings, *, name: str = "worker") -> None:
        self._settings = settings
        self._name = name
        self._exit = ExitStack()
        self._explanations: ExplainJobs | None = None

    def start(self) -> None:
        """Start everything; ConfigurationError when a worker of this name runs on this data folder already."""
        with ExitStack() as exit_stack:
            exit_stack.enter_context(_only_one(self._settings.data_dir / f"{self._name}.lock"))
            store = open_store(self._settings)
            exit_stack.callback(store.close)
            store.objects.sweep()
            registry = self._registry(store)
            reader = self._open_reader(store, registry, exit_stack)
            loops = [*self._loops(store, reader, exit_stack), *self._shadow_loops(store, registry, exit_stack)]
            for loop in loops:
                loop.start()
                exit_stack.callback(loop.stop)
            self._exit = exit_stack.pop_all()

    def stop(self) -> None:
        """Stop in the opposite order; what is unfinished goes on at the next start."""
        if self._explanations is not None:
            self._explanations.stop()
        self._exit.close()

    def _registry(self, store: Store) -> Registry:
        registry = site_registry(self._settings, store)
        for refused in registry.refused:
            model = f"{refused.name or refused.folder.name} {refused.version}".strip()
            _log.error("model.refused", model=model, reason=str(refused.reason))
        return registry

    def _open_reader(self, store: Store, registry: Registry, exit_stack: ExitStack) -> RememberingReader:
        models = LocalModels(registry.packages, store.objects, threads=self._settings.model_threads)
        exit_stack.callback(models.close)
        ready = _ready(registry.packages, models.warm_up())
        return RememberingReader(store, ready, models, Turns(self._settings.reading_threads), self._settings)

    def _shadow_loops(self, store: Store, registry: Registry, exit_stack: ExitStack) -> list[Loop]:
        """None without shadow versions: their child is not even started then."""
        if not registry.shadows:
            return []
        models = ShadowModels(registry.shadows, store.objects)
        exit_stack.callback(models.close)
        ready = {package.model.device_uid for package in _ready(registry.shadows, models.warm_up())}
        shadows = [
            Shadow(entry.package, since_of(entry.registration.state_changed_at))
            for entry in registry.entries
            if entry.registration is not None and entry.package.model.device_uid in ready
        ]
        return [Loop("shadow", ShadowLoop(store, shadows, models).tick, rest_seconds=0.5)]

    def _loops(self, store: Store, reader: RememberingReader, exit_stack: ExitStack) -> list[Loop]:
        deliveries = [
            Loop(
                f"deliver-{destination.name}",
                DeliveryLoop(store, self._settings, destination, self._name).tick,
                rest_seconds=0.2,
            )
            for destination in self._settings.destinations
        ]

        def nudge_deliveries() -> None:
            for loop in deliveries:
                loop.nudge()

        workflow = StudyWorkflow(store, reader, self._settings, nudge_deliveries, executor=self._name)
        exit_stack.enter_context(_workflow_engine(self._settings, store, self._name))
        self._explanations = self._open_explanations(store, reader, nudge_deliveries, exit_stack)
        return [
            Loop("explanations", self._explanations.tick, rest_seconds=1.0),
            Loop("assemble", Assembler(store, self._settings, workflow.start).tick, rest_seconds=0.1),
            Loop("read-ahead", Anticipator(store, reader).tick, rest_seconds=0.1),
            Loop("watch", Watch(store, self._settings, self._name, now=store.now).tick, rest_seconds=30.0),
            *deliveries,
        ]

    def _open_explanations(
        self, store: Store, reader: RememberingReader, on_filed: Callable[[], None], exit_stack: ExitStack
    ) -> ExplainJobs:
        store.explanations.interrupt(self._name)
        runner = ExplainChild(reader.packages, store.objects, threads=self._settings.model_threads)
        exit_stack.callback(runner.close)
        return ExplainJobs(store, self._settings, reader, runner, holder=self._name, on_filed=on_filed)


def _ready(packages: Sequence[ModelPackage], providers: dict[str, tuple[str, str]]) -> list[ModelPackage]:
    """Those of `packages` that loaded; says of each what it runs on, or that it does not."""
    for package in packages:
        model, uid = f"{package.model.name} {package.model.version}", package.model.device_uid
        if uid in providers:
            provider, fallback = providers[uid]
            _log.info("model.ready", model=model, provider=provider, reason=fallback)
        else:
            _log.error("model.refused", model=model, reason="it does not run; verify it with: candor models verify")
    return [package for package in packages if package.model.device_uid in providers]


@contextmanager
def _workflow_engine(settings: Settings, store: Store, name: str) -> Iterator[None]:
    """DBOS, launched: it resumes at once what this worker left unfinished."""
    engine = open_workflow_engine(settings.workflow_url, store.key)
    config: dict[str, Any] = {
        "name": "candor",
        "system_database_engine": engine,
        "executor_id": name,
        "application_version": WORKFLOW_VERSION,
        "max_executor_threads": WAITING_STUDIES,
        "log_level": "ERROR",
    }
    DBOS(config=config)  # type: ignore[arg-type]
    DBOS.launch()
    try:
        yield
    finally:
        DBOS.destroy(workflow_completion_timeout_sec=5)
        engine.dispose()


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """A lock that the kernel lets go of when the process dies, however it dies."""
    with open(path, "w", opener=open_private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(
                f"a worker called {path.stem} runs on this data folder already; give this one another --name"
            ) from None
        yield
