"""A child process of its own for explanations that a person asks for: they run the model hundreds of times.

It does one job at a time, counts the forward passes that are done, and stops between two batches when the job was
cancelled. Reports never wait for it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from core.domain.explanation import Saliency
from core.domain.report import Finding
from core.domain.study import Image
from core.errors import Cancelled
from core.progress import Progress, cancellable
from explain.batches import PASSES
from models.package.format import ModelPackage
from pipeline.reading import children
from pipeline.reading.children import Child

if TYPE_CHECKING:
    from explain.batches import Floats
    from explain.subject import Subject
    from models.runtimes.onnx import OnnxModel

LONGEST_EXPLANATION_SECONDS = 4 * 3600
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A second method's map of a finding. `first`: the map that the report goes by, None when the model gives none.

    `agreement`: how alike the two are, by name; empty without a first one. `picture`: the overlay as PNG.
    """

    second: Saliency
    first: Saliency | None
    agreement: dict[str, float]
    picture: bytes = field(repr=False)


class ExplainChild:
    """The child process, started when it is first needed."""

    def __init__(self, packages: Sequence[ModelPackage], *, threads: int) -> None:
        context = get_context("spawn")
        self._passes: Any = context.Array("q", [0, 0])
        self._unwanted: Any = context.Event()
        self._child = Child(
            _begin,
            tuple(packages),
            threads or os.cpu_count() or 1,
            self._passes,
            self._unwanted,
            longest_seconds=LONGEST_EXPLANATION_SECONDS,
        )

    def explain(
        self,
        package: ModelPackage,
        part10: bytes,
        sop_instance_uid: str,
        finding: Finding,
        method: str,
        progress: Progress,
        *,
        gate: str,
    ) -> Explanation:
        """The explanation; `progress` counts forward passes, of about how many, and may raise Cancelled.

        `gate`: why no map of this model is shown, "" when they are; neither the map nor the picture goes round it.
        """
        self._passes[:] = [0, 0]
        self._unwanted.clear()
        job = partial(_explain, package.model.device_uid, part10, sop_instance_uid, finding, method, gate)
        with ThreadPoolExecutor(1) as waiting:
            future: Future[Explanation] = waiting.submit(self._child.call, job)
            while True:
                try:
                    return future.result(timeout=LOOK_SECONDS)
                except NotYet:
                    try:
                        progress(PASSES, *self._passes[:])
                    except Cancelled:
                        self._unwanted.set()  # the child raises it too, between two batches

    def close(self) -> None:
        """End the child, also in the middle of a job."""
        self._unwanted.set()
        self._child.close()


# In the child ---------------------------------------------------------------------------------------------------

_shared: dict[str, Any] = {}


def _begin(packages: Sequence[ModelPackage], threads: int, passes: Any, unwanted: Any) -> None:
    os.nice(10)  # an explanation can wait a little; a report cannot
    children._begin_models(packages, threads)
    _shared.update(passes=passes, unwanted=unwanted)


class _Counted:
    """A model that counts the images it is shown."""

    def __init__(self, model: OnnxModel, passes: Any) -> None:
        self._model = model
        self._passes = passes

    @property
    def package(self) -> ModelPackage:
        return self._model.package

    def predict(self, images: Floats) -> tuple[Floats, Floats | None]:
        self._passes[0] += len(images)
        return self._model.predict(images)


def _explain(
    device_uid: str, part10: bytes, sop_instance_uid: str, finding: Finding, method: str, gate: str
) -> Explanation:
    from explain.explanation import agreement, explain
    from explain.faithfulness import STANDARD
    from explain.maps.class_activation import explain as explain_by_the_graph
    from explain.subject import Subject
    from inference.run import infer
    from pipeline.trust import trusted

    model, image = children._models[device_uid], children._decode(part10)
    prediction = infer(model, image, sop_instance_uid)
    first = explain_by_the_graph(prediction, finding.name)
    subject: Subject = Subject.of(_Counted(model, _shared["passes"]), image, sop_instance_uid)
    second = explain(subject, finding.name, method=method, budget=STANDARD, progress=_counted(STANDARD.forward_passes))
    (second,) = trusted((second,), gate)
    return Explanation(
        second=second,
        first=first,
        agreement=agreement(first, second) if first else {},
        picture=_picture(image, finding, model.package, second),
    )


def _counted(measuring: int) -> Progress:
    """Count each batch. The map is made three times, twice of them for its stability; then it is measured."""

    def progress(_what: str, done: int, total: int, _note: str = "") -> None:
        passes = _shared["passes"]
        passes[:] = [max(passes[0], done), max(passes[1], 3 * total + measuring)]

    return cancellable(_shared["unwanted"].is_set, progress)


def _picture(image: Image, finding: Finding, package: ModelPackage, saliency: Saliency) -> bytes:
    from dicom_node.encode.overlay import draw_overlay

    buffer = io.BytesIO()
    draw_overlay(image, finding, package.model, saliency, None).save(buffer, "PNG")
    return buffer.getvalue()
