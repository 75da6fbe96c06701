"""Where studies are read: the models with their memory.

`infer` asks the memory first, so a model runs once per input and version however often a workflow is replayed, a
study is sent again, or a destination is away. `read_ahead` uses the quiet period: while the study may still grow, the
images that are there are already read, so that the report only waits for the rule, not for the model.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

import structlog

from core.domain.explanation import Saliency
from core.domain.model import Prediction
from core.domain.report import ObjectKind, Report, ReportStatus, ResultObject
from core.domain.study import Instance, Patient, Series, Study
from core.errors import CandorError, InvalidStudy, RunnerDied
from core.settings import Settings
from core.store.store import Store
from explain.gate.result import withheld_reason
from inference.findings import to_findings
from inference.quality import judge_remembered, refuse_faulty
from inference.select import Choice, select
from models.package.format import ModelPackage
from pipeline.reading.measuring import MapMeasurer, with_figures
from pipeline.reading.service import LocalModels
from pipeline.reading.turns import Turns
from pipeline.results_json import StudyEntry
from pipeline.story import Reader
from pipeline.trust import located

MOST_DEATHS = 3
"""After so many deaths of the model runner on one input this reading has failed; the others of the study go on."""
_log = structlog.get_logger()


class RememberingReader:
    """The models of this installation, ready to read."""

    def __init__(
        self, store: Store, packages: Sequence[ModelPackage], models: LocalModels, turns: Turns, settings: Settings
    ) -> None:
        self._store = store
        self._models = models
        self._maps = MapMeasurer(store, models, turns, settings)
        self.turns = turns
        self._one_at_a_time = threading.Lock()
        self._deaths: Counter[tuple[str, str]] = Counter()
        self.packages = tuple(packages)

    def infer(self, choice: Choice) -> Prediction:
        """What the chosen model says of the chosen input.

        A model runner that died is tried again here: several inputs of a study may each need all their tries. Raises
        InvalidStudy when the input cannot be decoded, or has a fault for which it is not scored; CandorError when the
        runner died too often.
        """
        while True:
            with suppress(RunnerDied):
                return self._infer_once(choice)

    def _infer_once(self, choice: Choice) -> Prediction:
        prediction = self._remembered(choice)
        refuse_faulty(prediction.quality, choice.what.instances[0])
        return prediction

    def _remembered(self, choice: Choice) -> Prediction:
        if (known := self._find(choice)) is not None:
            return known
        with self._one_at_a_time:  # the second caller reuses the first result
            if (known := self._find(choice)) is not None:
                return known
            prediction = self._predict(choice)
            study_id = self._store.study_id_of(choice.what.instances[0].study_instance_uid)
            self._store.predictions.remember(prediction, study_id=study_id)
            return prediction

    def _predict(self, choice: Choice) -> Prediction:
        this = (choice.package.model.device_uid, choice.what.key)
        if self._deaths[this] >= MOST_DEATHS:
            del self._deaths[this]  # a person may start the study again
            raise CandorError(f"the model runner died {MOST_DEATHS} times, or was too slow, on this image")
        try:
            prediction = self._models.predict(choice.package.model, choice.what)
        except RunnerDied:
            self._deaths[this] += 1
            raise
        self._deaths.pop(this, None)
        return prediction

    def _find(self, choice: Choice) -> Prediction | None:
        """The remembered prediction, unless the package has a quality check by now that did not look at it.

        It is remembered by the weights and by how the input is prepared; two versions may share both, name their
        findings or be calibrated differently, and refuse differently.
        """
        known = self._store.predictions.find(choice.what.key, choice.package.model)
        if known is None:
            return None
        try:
            quality = judge_remembered(choice.package.quality, known.quality)
            calibrated = {name: choice.package.calibrate(name, score) for name, score in known.scores.items()}
        except LookupError:
            return None
        return replace(known, probabilities=calibrated, quality=quality)

    def measure(self, choice: Choice, prediction: Prediction, saliencies: tuple[Saliency, ...]) -> tuple[Saliency, ...]:
        """The maps with how far to trust each, as far as it is known or can be measured now."""
        return self._maps.measure_for_report(choice, prediction, saliencies)

    def measure_for_pictures(
        self, choice: Choice, prediction: Prediction, saliencies: tuple[Saliency, ...]
    ) -> tuple[Saliency, ...]:
        """The maps that are to be drawn, with how far to trust each; it is measured now where it is not known."""
        return self._maps.measure_for_pictures(choice, prediction, saliencies)

    def encode(self, report: Report, kinds: frozenset[ObjectKind]) -> tuple[ResultObject, ...]:
        """The DICOM objects of a report, of the kinds wanted; made in a child, where pixels are decoded."""
        return self._models.encode(report, kinds)

    def read_ahead(self, instance: Instance) -> None:
        """Read an image before its study is complete; what goes wrong now is met again, and said, by the workflow.

        A volume is read when it is complete, which only the complete study tells.
        """
        for choice in self._choices_ahead(instance):
            try:
                self._infer_once(choice)
            except CandorError as error:
                _log.info("read_ahead.skipped", error=type(error).__name__)

    def measure_ahead(self, instance: Instance) -> None:
        """Measure the maps of an image that was read ahead, while its study is still quiet."""
        for choice in self._choices_ahead(instance):
            if withheld_reason(choice.package):
                continue
            try:
                prediction = self._infer_once(choice)
            except CandorError:
                continue  # the report will say why
            self._maps.measure(choice, prediction, located(to_findings(prediction, {})))

    def _choices_ahead(self, instance: Instance) -> tuple[Choice, ...]:
        of_images = [package for package in self.packages if not package.reads.is_volume]
        return select(_alone(instance), of_images).choices

    def packages_of(self, entry: StudyEntry) -> tuple[ModelPackage, ...]:
        """The packages that made a report, by what its entry says; without those whose version is not live any more.

        What is drawn or said of a report later is drawn by them: another version's map under these figures, or
        these figures under another version's map, would be false.
        """
        return tuple(package for package in self.packages if entry.is_by(package.model))

    def as_filed(self, entry: StudyEntry) -> Reader:
        """This reader for what repeats a report; `entry`: that report's entry of results.json."""
        return _AsFiled(self, entry)


class _AsFiled:
    """The reader, with the readings and the figures of the report: what is drawn says what the SR says.

    A map that the SR says is not measured yet is measured here, so that its picture carries the figures.
    """

    def __init__(self, reader: RememberingReader, entry: StudyEntry) -> None:
        self._reader = reader
        self._entry = entry
        self._unnamed = ""  # key of the one input that an entry of an older version is of: the preferred one

    def infer(self, choice: Choice) -> Prediction:
        """As the reader does, of what the report has findings of; InvalidStudy for the rest."""
        number = self._number_of(choice)
        if number is None:
            raise InvalidStudy("this image was not read when the report was made")
        filed = self._entry.readings[number]
        if filed.status != ReportStatus.REPORTED:
            raise InvalidStudy(filed.reason)
        return self._reader.infer(choice)

    def measure(self, choice: Choice, prediction: Prediction, saliencies: tuple[Saliency, ...]) -> tuple[Saliency, ...]:
        """The figures of the report; what the report had no time for is measured now."""
        number = self._number_of(choice)
        filed = {} if number is None else self._entry.faithfulness_of(number)
        late = tuple(saliency for saliency in saliencies if saliency.finding_name not in filed)
        measured = self._reader.measure_for_pictures(choice, prediction, late) if late else ()
        found = {s.finding_name: s.faithfulness for s in measured if s.faithfulness is not None}
        return with_figures(saliencies, {**found, **filed})

    def _number_of(self, choice: Choice) -> int | None:
        number = self._entry.number_of(choice.package.model, choice.what)
        if number is None or self._entry.readings[number].instances:
            return number
        self._unnamed = self._unnamed or choice.what.key
        return number if choice.what.key == self._unnamed else None


def _alone(instance: Instance) -> Study:
    series = Series(series_instance_uid=instance.series_instance_uid, modality=instance.modality, instances=(instance,))
    return Study(
        study_id="",
        study_instance_uid=instance.study_instance_uid,
        revision=0,
        patient=Patient(),
        series=(series,),
    )
