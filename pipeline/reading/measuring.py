"""How far to trust each map, measured once per input and model version; a map without figures is not drawn.

In the quiet period a study's figures delay no report (pipeline.assemble reads ahead). A report that comes to its turn
without them is measured then, for some seconds, and not while more studies wait than can be read at once. What is
missing then is measured before the pictures are drawn, which waits for a lull: the pictures carry the figures. On a
machine that is set to `sampled` a tenth of the studies is measured, drawn by a hash, and their figures say so.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterable

import structlog

from core.domain.explanation import Faithfulness, Saliency
from core.domain.model import Prediction
from core.errors import CandorError
from core.settings import Settings
from core.settings.kinds import A_DAY_SECONDS
from core.store.store import Store
from explain.faithfulness import BUDGETS, Budget
from inference.select import Choice
from pipeline.reading.service import LocalModels
from pipeline.reading.turns import Turns

PATIENCE_SECONDS = 60.0
"""Pictures wait so long for a lull before their maps are measured all the same."""
SAMPLE_OF = 10
"""One study of so many is measured where the setting is `sampled`."""
NEVER_SECONDS = A_DAY_SECONDS
"""A report that may wait so long, the longest that can be set, waits for all its maps."""
_log = structlog.get_logger()


def budget_within(passes: int) -> Budget:
    """The finest budget that costs at most so many forward passes of the model, else the cheapest there is."""
    by_cost = sorted(BUDGETS.values(), key=lambda budget: budget.forward_passes)
    affordable = [budget for budget in by_cost if budget.forward_passes <= passes and not budget.sampled]
    return affordable[-1] if affordable else by_cost[0]


def with_figures(saliencies: tuple[Saliency, ...], figures: dict[str, Faithfulness]) -> tuple[Saliency, ...]:
    """The maps with the figures of their findings."""
    return tuple(dataclasses.replace(s, faithfulness=figures.get(s.finding_name)) for s in saliencies)


class MapMeasurer:
    """Measures maps in the child that has the models, and remembers the figures."""

    def __init__(self, store: Store, models: LocalModels, turns: Turns, settings: Settings) -> None:
        self._store = store
        self._models = models
        self._turns = turns
        self._mode = settings.faithfulness
        self._wait_seconds = settings.faithfulness_wait_seconds
        self._one_at_a_time = threading.Lock()
        self._budget = budget_within(settings.faithfulness_passes)

    def measure_for_report(
        self, choice: Choice, prediction: Prediction, saliencies: tuple[Saliency, ...]
    ) -> tuple[Saliency, ...]:
        """The maps of a reading with their figures, measured now where nothing is known, as far as time allows."""
        until = time.monotonic() + self._wait_seconds
        return self._with_figures(choice, prediction, saliencies, lambda: not self._must_hurry(), until)

    def measure_for_pictures(
        self, choice: Choice, prediction: Prediction, saliencies: tuple[Saliency, ...]
    ) -> tuple[Saliency, ...]:
        """The same for what is drawn: every map that is to be measured at all, however long that takes."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        return self._with_figures(choice, prediction, saliencies, lambda: self._turns.wait_for_room(deadline))

    def measure(self, choice: Choice, prediction: Prediction, finding_names: Iterable[str]) -> None:
        """Measure and remember what is not known yet, ahead of the report, while no more studies wait than can be read.

        Figures are a service: what goes wrong while measuring is logged and leaves the map without them.
        """
        self._measure_all(choice, prediction, finding_names, lambda: not self._turns.is_crowded, math.inf)

    def _with_figures(
        self,
        choice: Choice,
        prediction: Prediction,
        saliencies: tuple[Saliency, ...],
        may_go_on: Callable[[], bool],
        until: float = math.inf,
    ) -> tuple[Saliency, ...]:
        names = dict.fromkeys(saliency.finding_name for saliency in saliencies if saliency.shown)
        self._measure_all(choice, prediction, names, may_go_on, until)
        return with_figures(saliencies, self._known(choice))

    def _measure_all(
        self,
        choice: Choice,
        prediction: Prediction,
        finding_names: Iterable[str],
        may_go_on: Callable[[], bool],
        until: float,
    ) -> None:
        budget = self._budget_for(choice)
        if budget is None or prediction.maps is None:
            return
        try:
            for name in finding_names:
                if name not in self._known(choice) and may_go_on():  # asked each time: others may have come meanwhile
                    self._measure_once(choice, prediction, name, budget, until)
        except CandorError as error:
            _log.warning("faithfulness.failed", error=type(error).__name__)

    def _must_hurry(self) -> bool:
        """Whether other reports wait; where a report may wait for its maps for ever, none is in a hurry."""
        return self._turns.is_crowded and self._wait_seconds < NEVER_SECONDS

    def _measure_once(self, choice: Choice, prediction: Prediction, name: str, budget: Budget, until: float) -> None:
        """One map at a time; the second caller reuses the figures of the first."""
        patience = max(0.0, until - time.monotonic())
        if name in self._known(choice) or not self._one_at_a_time.acquire(timeout=min(patience, threading.TIMEOUT_MAX)):
            return
        try:
            if name not in self._known(choice) and time.monotonic() <= until:
                self._measure(choice, prediction, name, budget)
        finally:
            self._one_at_a_time.release()

    def _known(self, choice: Choice) -> dict[str, Faithfulness]:
        return self._store.faithfulness.of(choice.what.key, choice.package.model)

    def _measure(self, choice: Choice, prediction: Prediction, finding_name: str, budget: Budget) -> None:
        model = choice.package.model
        figures = self._models.measure(model, choice.what, prediction, finding_name, budget)
        self._store.faithfulness.remember(choice.what.key, model, {finding_name: figures})

    def _budget_for(self, choice: Choice) -> Budget | None:
        """How finely to measure the maps of this input; None when they are not to be measured."""
        if self._mode == "every":
            return self._budget
        if self._mode == "sampled" and is_drawn(choice.what.key):
            return dataclasses.replace(self._budget, sampled=True)
        return None


def is_drawn(input_key: str) -> bool:
    """Whether an input is in the sample: always or never, however often that is asked."""
    digest = hashlib.sha256(input_key.encode()).digest()
    return int.from_bytes(digest[:8]) % SAMPLE_OF == 0
