"""The model runner: child processes that decode pixels, run models and write results.

Native decoders and model runtimes can crash or run out of memory; in a child of their own they take one job with
them and nothing else. One job at a time goes to a child, so that a death has one suspect; that job is answered with
RunnerDied, the next one finds a fresh child.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from multiprocessing import get_context, parent_process
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import structlog

from models.package.format import ModelPackage

if TYPE_CHECKING:
    from explain.faithfulness import Budget
    from models.quality import QualityModel
    from models.runtimes.onnx import OnnxModel

from core.domain.explanation import Faithfulness
from core.domain.model import ModelVersion, Prediction
from core.domain.report import ObjectKind, Report, ResultObject
from core.domain.study import Image
from core.errors import CandorError, RunnerDied
from core.log import configure_logging

T = TypeVar("T")
LONGEST_JOB_SECONDS = 120
_log = structlog.get_logger()


class Child:
    """One child process that does one job at a time; safe to call from many threads."""

    def __init__(
        self, initialiser: Callable[..., None], *arguments: object, longest_seconds: int = LONGEST_JOB_SECONDS
    ) -> None:
        self._initialiser = initialiser
        self._arguments = arguments
        self._longest_seconds = longest_seconds
        self._lock = threading.Lock()
        self._pool = self._start()

    def call(self, job: Callable[..., T], *arguments: object) -> T:
        """The result of a job, or its error; RunnerDied when the child died of it."""
        with self._lock:
            try:
                return self._pool.submit(_within_time, self._longest_seconds, job, *arguments).result()
            except BrokenProcessPool:
                _log.error("runner.died", process=getattr(job, "__name__", "explain"))
                self._pool = self._start()
        raise RunnerDied("the model runner died, or was too slow, on this image: out of memory, or a damaged image")

    def close(self) -> None:
        """End the child."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=1,
            mp_context=get_context("spawn"),
            initializer=self._initialiser,
            initargs=self._arguments,
        )


class Runner:
    """Two children: one has the models, one writes the results, so that reports do not queue behind images."""

    def __init__(self, packages: Sequence[ModelPackage], *, threads: int) -> None:
        versions = tuple(package.model for package in packages)
        self._models = Child(_begin_models, tuple(packages), threads or os.cpu_count() or 1)
        self._encoders = Child(_begin_encoders, versions)

    def predict(self, package: ModelPackage, part10: bytes, sop_instance_uid: str) -> Prediction:
        """Decode a Part 10 object and run one model on it; InvalidStudy when it cannot be decoded."""
        return self._models.call(_predict, package.model.device_uid, part10, sop_instance_uid)

    def measure(
        self, package: ModelPackage, part10: bytes, prediction: Prediction, finding_name: str, budget: Budget
    ) -> Faithfulness:
        """How far to trust the map that the prediction holds of a finding."""
        return self._models.call(_measure, package.model.device_uid, part10, prediction, finding_name, budget)

    def encode(self, report: Report, part10: bytes, kinds: frozenset[ObjectKind]) -> tuple[ResultObject, ...]:
        """The DICOM objects of a report on the image `part10`."""
        if kinds == {ObjectKind.SR}:
            report = _without_pixels(report)
        return self._encoders.call(_encode, report, part10, kinds)

    def warm_up(self) -> dict[str, tuple[str, str]]:
        """Load everything now; for each model that loaded, by Device UID: what it runs on, and why not on the GPU."""
        self._encoders.call(_nothing)
        return self._models.call(_providers)

    def close(self) -> None:
        """End the children."""
        self._models.close()
        self._encoders.close()


class ShadowRunner:
    """A further child for versions that are not reported: one thread, at the lowest priority, in nobody's way."""

    def __init__(self, packages: Sequence[ModelPackage]) -> None:
        self._child = Child(_begin_shadows, tuple(packages))

    def predict(self, package: ModelPackage, part10: bytes, sop_instance_uid: str) -> Prediction:
        """As `Runner.predict`."""
        return self._child.call(_predict, package.model.device_uid, part10, sop_instance_uid)

    def warm_up(self) -> dict[str, tuple[str, str]]:
        """As `Runner.warm_up`."""
        return self._child.call(_providers)

    def close(self) -> None:
        """End the child."""
        self._child.close()


def _without_pixels(report: Report) -> Report:
    """An SR speaks of regions, not of pixels: do not carry megabytes of maps to the child for it."""
    none = np.zeros((0, 0), np.float32)
    light = tuple(replace(s, values=none, mask=none.astype(np.bool_)) for s in report.saliencies)
    return replace(report, saliencies=light)


# In the children ------------------------------------------------------------------------------------------------

_models: dict[str, OnnxModel] = {}
_checks: dict[str, QualityModel] = {}  # of the models whose package has one


def _begin() -> None:
    import dicom_node.pixels.decode  # noqa: F401  # loaded now, so that the first image does not wait for it

    threading.Thread(target=_end_with_parent, daemon=True).start()
    configure_logging(json=True)


def _begin_models(packages: Sequence[ModelPackage], threads: int) -> None:
    from models.quality import QualityModel
    from models.runtimes.onnx import OnnxModel

    _begin()
    for package in packages:
        with suppress(CandorError):  # the worker sees which models are missing, and says so
            if package.quality:  # first: a model whose gate does not load must not run without it
                _checks[package.model.device_uid] = QualityModel.load(package.quality)
            _models[package.model.device_uid] = OnnxModel.load(package, threads=threads)


def _begin_shadows(packages: Sequence[ModelPackage]) -> None:
    os.nice(19)
    _begin_models(packages, 1)


def _begin_encoders(versions: Sequence[ModelVersion]) -> None:
    from pipeline.reading.warm_up import warm_up_encoders

    _begin()
    for version in versions:
        with suppress(CandorError):
            warm_up_encoders(version)


def _nothing() -> None:
    """Done when the child has begun."""


def _within_time(longest_seconds: int, job: Callable[..., T], *arguments: object) -> T:
    """Run a job under the alarm clock: a decoder that loops for ever is ended by the kernel, with this child."""
    signal.alarm(longest_seconds)
    try:
        return job(*arguments)
    finally:
        signal.alarm(0)


def _end_with_parent() -> None:
    """A worker that is killed must not leave a child behind that holds the GPU."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _predict(device_uid: str, part10: bytes, sop_instance_uid: str) -> Prediction:
    from inference.run import infer

    image = _decode(part10)
    return infer(_models[device_uid], image, sop_instance_uid, _checks.get(device_uid))


def _measure(device_uid: str, part10: bytes, prediction: Prediction, finding_name: str, budget: Budget) -> Faithfulness:
    from explain.explanation import faithfulness_of
    from explain.subject import Subject

    assert prediction.maps is not None, "the caller measures maps that are there"
    subject = Subject.of(_models[device_uid], _decode_again(part10), prediction.sop_instance_uid)
    return faithfulness_of(subject, finding_name, prediction.maps[subject.number_of(finding_name)], budget=budget)


@lru_cache(maxsize=1)
def _decode_again(part10: bytes) -> Image:
    """The maps of several findings are measured one after the other on the same image."""
    return _decode(part10)


def _decode(part10: bytes) -> Image:
    from dicom_node.pixels.decode import decode

    return decode(part10)


def _encode(report: Report, part10: bytes, kinds: frozenset[ObjectKind]) -> tuple[ResultObject, ...]:
    from dicom_node.encode import encode

    uid = report.analysed_sop_instance_uid
    images = {uid: _decode(part10)} if ObjectKind.SC in kinds else {}
    return encode(report, sources={uid: part10}, images=images, kinds=kinds)


def _providers() -> dict[str, tuple[str, str]]:
    return {device_uid: (model.provider, model.fallback) for device_uid, model in _models.items()}
