"""Who runs models for the worker: a service, behind which child processes of this machine do the work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from explain.faithfulness import Budget

from core.domain.explanation import Faithfulness
from core.domain.input import ModelInput
from core.domain.model import ModelVersion, Prediction
from core.domain.report import ObjectKind, Report, ResultObject
from core.domain.study import Instance
from core.store.objects import ObjectStore
from models.package.format import ModelPackage
from pipeline.reading.children import LONGEST_JOB_SECONDS, Child
from pipeline.reading.loaded_models import Encoders, Files, LoadedModels


class ModelService(Protocol):
    """Runs models."""

    def predict(self, model: ModelVersion, what: ModelInput) -> Prediction:
        """What a model says of an input.

        Raises InvalidStudy when the input cannot be decoded or the answer is not a number, Unavailable when the service
        is away for now, CandorError when the model does not run on this input.
        """


class LocalModels:
    """Two children: one has the models, one writes the results, so that reports do not queue behind images."""

    def __init__(
        self,
        packages: Sequence[ModelPackage],
        objects: ObjectStore,
        *,
        threads: int,
        longest_seconds: int = LONGEST_JOB_SECONDS,
    ) -> None:
        versions = tuple(package.model for package in packages)
        self._objects = objects
        self._models = Child(
            LoadedModels,
            arguments=(tuple(packages), threads or os.cpu_count() or 1),
            longest_seconds=longest_seconds,
        )
        self._encoders = Child(Encoders, arguments=(versions,))

    def predict(self, model: ModelVersion, what: ModelInput) -> Prediction:
        """As `ModelService`."""
        return self._models.call(LoadedModels.predict, model.device_uid, what, files_of(what, self._objects))

    def measure(
        self, model: ModelVersion, what: ModelInput, prediction: Prediction, finding_name: str, budget: Budget
    ) -> Faithfulness:
        """How far to trust the map that the prediction holds of a finding."""
        files = files_of(what, self._objects)
        return self._models.call(LoadedModels.measure, model.device_uid, what, files, prediction, finding_name, budget)

    def encode(self, report: Report, kinds: frozenset[ObjectKind]) -> tuple[ResultObject, ...]:
        """The DICOM objects of a report; none when the study holds no image to speak of."""
        files = {i.sop_instance_uid: self._objects.get(i.object_key) for i in _referred_to(report)}
        if not files:
            return ()
        if kinds == {ObjectKind.SR}:
            report = _without_pixels(report)
        return self._encoders.call(Encoders.encode, report, files, kinds)

    def warm_up(self) -> dict[str, tuple[str, str]]:
        """Load everything now; for each model that loaded, by Device UID: what it runs on, and why not on the GPU."""
        self._encoders.call(Encoders.is_ready)
        return self._models.call(LoadedModels.providers)

    def close(self) -> None:
        """End the children."""
        self._models.close()
        self._encoders.close()


class ShadowModels:
    """A further child for versions that are not reported: one thread, at the lowest priority."""

    def __init__(self, packages: Sequence[ModelPackage], objects: ObjectStore) -> None:
        self._objects = objects
        self._child = Child(LoadedModels.in_the_background, arguments=(tuple(packages),))

    def predict(self, model: ModelVersion, what: ModelInput) -> Prediction:
        """As `ModelService`."""
        return self._child.call(LoadedModels.predict, model.device_uid, what, files_of(what, self._objects))

    def warm_up(self) -> dict[str, tuple[str, str]]:
        """As `LocalModels.warm_up`."""
        return self._child.call(LoadedModels.providers)

    def close(self) -> None:
        """End the child."""
        self._child.close()


def files_of(what: ModelInput, objects: ObjectStore) -> Files:
    """The instances of an input as they were received."""
    return tuple(objects.get(instance.object_key) for instance in what.instances)


def _referred_to(report: Report) -> tuple[Instance, ...]:
    """The images whose headers the results repeat: of an image itself, of a volume the slices with a region.

    And the image that says whose study it is.
    """
    shown = {saliency.sop_instance_uid for reading in report.readings for saliency in reading.saliencies}
    found = [
        instance
        for what in report.inputs
        for number, instance in enumerate(what.instances)
        if number == 0 or instance.sop_instance_uid in shown
    ]
    whose = [i for i in report.study.instances if i.sop_instance_uid == report.study.identity_from]
    return tuple(dict.fromkeys([*(found or whose or report.study.instances[:1]), *whose]))


def _without_pixels(report: Report) -> Report:
    """An SR speaks of regions, not of pixels: do not carry megabytes of maps to the child for it."""
    none = np.zeros((0, 0), np.float32)
    readings = tuple(
        replace(
            reading,
            saliencies=tuple(replace(s, values=none, mask=none.astype(np.bool_)) for s in reading.saliencies),
        )
        for reading in report.readings
    )
    return replace(report, readings=readings)
