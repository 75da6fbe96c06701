"""What the child processes hold: models in memory that read, measure and explain, and the encoders.

One object a child, made when the child starts (pipeline.reading.children). Decoding happens here, because native
decoders can crash and then take this process with them and no other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from explain.faithfulness import Budget
    from models.quality import QualityModel
    from models.runtimes.protocol import Runtime

from core.domain.explanation import Faithfulness
from core.domain.input import ModelInput
from core.domain.model import ModelVersion, Prediction
from core.domain.report import ObjectKind, Report, ResultObject
from core.domain.study import Image
from models.package.format import ModelPackage

_log = structlog.get_logger()
Files = tuple[bytes, ...]
"""The instances of an input as Part 10 files, in the order of its array."""


class LoadedModels:
    """The models of one child, by Device UID, each with its quality check where the package has one."""

    def __init__(self, packages: Sequence[ModelPackage], threads: int) -> None:
        import dicom_node.pixels.decode  # noqa: F401  # loaded now, so that the first image does not wait for it
        from models.quality import QualityModel
        from models.runtimes.onnx import OnnxModel

        self.models: dict[str, Runtime] = {}
        self._checks: dict[str, QualityModel] = {}
        self._providers: dict[str, tuple[str, str]] = {}
        for package in packages:
            with _setting_aside(package.model):
                uid = package.model.device_uid
                if package.quality:  # first: a model whose quality check does not load must not run without it
                    self._checks[uid] = QualityModel.load(package.quality)
                model = OnnxModel.load(package, threads=threads)
                self.models[uid] = model
                self._providers[uid] = (model.provider, model.fallback)

    @classmethod
    def in_the_background(cls, packages: Sequence[ModelPackage]) -> LoadedModels:
        """At the lowest priority and on one thread."""
        os.nice(19)
        return cls(packages, 1)

    def providers(self) -> dict[str, tuple[str, str]]:
        """For each model that loaded, by Device UID: what it runs on, and why not on the GPU."""
        return self._providers

    def predict(self, device_uid: str, what: ModelInput, files: Files) -> Prediction:
        """What a model says of an input; InvalidStudy when it cannot be decoded, CandorError when it does not run."""
        from inference.run import infer

        model = self.models[device_uid]
        return infer(model, what, decoded(model.package, files), self._checks.get(device_uid))

    def measure(
        self, device_uid: str, what: ModelInput, files: Files, prediction: Prediction, finding_name: str, budget: Budget
    ) -> Faithfulness:
        """How far to trust the map that the prediction holds of a finding."""
        from explain.explanation import faithfulness_of
        from explain.subject import Subject

        assert prediction.maps is not None, "the caller measures maps that are there"
        model = self.models[device_uid]
        images = _decoded_again(model.package.reads.window, files)
        subject = Subject.of_volume(model, images) if what.is_volume else Subject.of(model, images[0])
        return faithfulness_of(subject, finding_name, prediction.maps[subject.number_of(finding_name)], budget=budget)


class Encoders:
    """The encoders, warm."""

    def __init__(self, versions: Sequence[ModelVersion]) -> None:
        import dicom_node.pixels.decode  # noqa: F401  # loaded now, so that the first image does not wait for it
        from pipeline.reading.warm_up import warm_up_encoders

        for version in versions:
            with _setting_aside(version):
                warm_up_encoders(version)

    def is_ready(self) -> bool:
        """True once the child has begun."""
        return True

    def encode(self, report: Report, files: dict[str, bytes], kinds: frozenset[ObjectKind]) -> tuple[ResultObject, ...]:
        """The DICOM objects of a report; `files`: by SOP Instance UID, the images that they refer to."""
        from dicom_node.encode import encode
        from dicom_node.pixels.decode import decode

        images: dict[str, Image] = {}
        if kinds & {ObjectKind.SC, ObjectKind.SC_FINDINGS}:
            images = {uid: decode(files[uid]) for uid in shown_in(report) if uid in files}
        return encode(report, sources=files, images=images, kinds=kinds)


@contextmanager
def _setting_aside(version: ModelVersion) -> Iterator[None]:
    """What goes wrong with one model keeps no other from running; the worker sees which are missing, and says so."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a boundary: a package that passed every check may still hold a surprise
        _log.error("model.set_aside", model=f"{version.name} {version.version}", error=type(error).__name__)


def shown_in(report: Report) -> tuple[str, ...]:
    """The images that a picture of a positive finding is drawn on."""
    instances = (
        reading.drawn_on(finding.name)
        for reading in report.readings
        for finding in reading.findings
        if finding.is_positive
    )
    return tuple(dict.fromkeys(instance.sop_instance_uid for instance in instances))


def decoded(package: ModelPackage, files: Files) -> tuple[Image, ...]:
    """The instances of an input as the package's model reads them."""
    return _decoded(package.reads.window, files)


def _decoded(window: tuple[float, float] | None, files: Files) -> tuple[Image, ...]:
    from dicom_node.pixels.decode import decode, decode_values

    if window is None:
        return tuple(decode(part10) for part10 in files)
    return tuple(decode_values(part10, window) for part10 in files)


_decoded_again = lru_cache(maxsize=1)(_decoded)
"""The maps of several findings are measured one after the other on the same input."""
