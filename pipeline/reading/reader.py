"""Where studies are read: the runner with its memory.

`infer` asks the memory first, so a model runs once per image and version however often a workflow is replayed, a
study is sent again, or a destination is away. `read_ahead` uses the quiet period: while the study may still grow, the
images that are there are already read, so that the report only waits for the rule, not for the model.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from core.domain.explanation import Saliency
from core.domain.model import Prediction
from core.domain.report import ObjectKind, Report, ResultObject
from core.domain.study import Instance, Patient, Series, Study
from core.errors import CandorError
from core.settings import Settings
from core.store.store import Store
from explain.gate.result import withheld_reason
from inference.findings import to_findings
from inference.quality import judge_remembered, refuse_faulty
from inference.select import Choice, select
from models.package.format import ModelPackage
from pipeline.reading.children import Runner
from pipeline.reading.measuring import MapMeasurer, with_figures
from pipeline.reading.turns import Turns
from pipeline.results_json import figures_of, is_by
from pipeline.story import Reader

_log = structlog.get_logger()


class RememberingReader:
    """The models of this installation, ready to read."""

    def __init__(
        self, store: Store, packages: Sequence[ModelPackage], runner: Runner, turns: Turns, settings: Settings
    ) -> None:
        self._store = store
        self._runner = runner
        self._maps = MapMeasurer(store, runner, turns, settings)
        self.turns = turns
        self._one_at_a_time = threading.Lock()
        self.packages = tuple(packages)

    def infer(self, choice: Choice) -> Prediction:
        """What the chosen model says of the chosen image.

        Raises InvalidStudy when the image cannot be decoded, or has a fault for which it is not scored.
        """
        prediction = self._remembered(choice)
        refuse_faulty(prediction.quality, choice.instance)
        return prediction

    def _remembered(self, choice: Choice) -> Prediction:
        if (known := self._find(choice)) is not None:
            return known
        uid = choice.instance.sop_instance_uid
        with self._one_at_a_time:  # whoever comes second finds the answer of the first
            if (known := self._find(choice)) is not None:
                return known
            part10 = self._store.objects.get(choice.instance.object_key)
            prediction = self._runner.predict(choice.package, part10, uid)
            self._store.predictions.remember(prediction)
            return prediction

    def _find(self, choice: Choice) -> Prediction | None:
        """The remembered prediction, unless the package has a quality check by now that did not look at it.

        It is remembered by the weights; two versions may share them, be calibrated differently, and refuse differently.
        """
        known = self._store.predictions.find(choice.instance.sop_instance_uid, choice.package.model)
        if known is None:
            return None
        try:
            quality = judge_remembered(choice.package.quality, known.quality)
        except LookupError:
            return None
        calibrated = {name: choice.package.calibrate(name, score) for name, score in known.scores.items()}
        return replace(known, probabilities=calibrated, quality=quality)

    def measured(
        self, choice: Choice, prediction: Prediction, saliencies: tuple[Saliency, ...]
    ) -> tuple[Saliency, ...]:
        """The maps with how far to trust each, as far as it is known or can be measured now."""
        return self._maps.measured(choice, prediction, saliencies)

    def encode(self, report: Report, analysed: Instance, kinds: frozenset[ObjectKind]) -> tuple[ResultObject, ...]:
        """The DICOM objects of a report, of the kinds wanted; made in the runner, where pixels are decoded."""
        return self._runner.encode(report, self._store.objects.get(analysed.object_key), kinds)

    def read_ahead(self, instance: Instance) -> None:
        """Read an image before its study is complete; what goes wrong now is met again, and told, by the workflow."""
        choice = select(_alone(instance), self.packages)
        if isinstance(choice, Choice):
            try:
                self.infer(choice)
            except CandorError as error:
                _log.info("read_ahead.skipped", error=type(error).__name__)

    def measure_ahead(self, instance: Instance) -> None:
        """Measure the maps of an image that was read ahead, while its study is still quiet."""
        choice = select(_alone(instance), self.packages)
        if not isinstance(choice, Choice) or withheld_reason(choice.package):
            return
        try:
            prediction = self.infer(choice)
        except CandorError:
            return  # the report will say why
        positive = [finding.name for finding in to_findings(prediction, {}) if finding.is_positive]
        self._maps.measure(choice, prediction, positive)

    def packages_of(self, document: Mapping[str, Any]) -> tuple[ModelPackage, ...]:
        """The package that made a report, by what its document says; none when that version is not live any more.

        Whatever is drawn or told of a report later is drawn by it: another version's map under these figures, or
        these figures under another version's map, would be false.
        """
        return tuple(package for package in self.packages if is_by(document, package.model))

    def as_filed(self, document: Mapping[str, Any]) -> Reader:
        """This room for whoever repeats what a report says; `document`: that report's entry of results.json."""
        return _AsFiled(self, document)


class _AsFiled:
    """The room, with the figures that are in the report: what is drawn says what the SR says."""

    def __init__(self, room: RememberingReader, document: Mapping[str, Any]) -> None:
        self._room = room
        self._figures = figures_of(document)

    def infer(self, choice: Choice) -> Prediction:
        """As the room does."""
        return self._room.infer(choice)

    def measured(
        self, _choice: Choice, _prediction: Prediction, saliencies: tuple[Saliency, ...]
    ) -> tuple[Saliency, ...]:
        """The figures of the report; none is measured for a drawing."""
        return with_figures(saliencies, self._figures)


def _alone(instance: Instance) -> Study:
    series = Series(series_instance_uid=instance.series_instance_uid, modality=instance.modality, instances=(instance,))
    return Study(
        study_id="",
        study_instance_uid=instance.study_instance_uid,
        revision=0,
        patient=Patient(),
        series=(series,),
    )
