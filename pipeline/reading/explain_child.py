"""A child process of its own for explanations that somebody asks for: they run the model hundreds of times.

It does one job at a time, tells how many forward passes are done, and stops between two batches when nobody wants
the answer any more. Reports never wait for it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from core.domain.explanation import Saliency
from core.domain.report import Finding
from core.domain.study import Image
from models.package.format import ModelPackage
from pipeline.reading import children
from pipeline.reading.children import Child

if TYPE_CHECKING:
    from explain.subject import Subject
    from explain.watching import Floats, Watch
    from models.runtimes.onnx import OnnxModel

LONGEST_EXPLANATION_SECONDS = 4 * 3600
LOOK_SECONDS = 0.5
Look = Callable[[int, int], bool]
"""Told how many of about how many forward passes are done; answers whether the explanation is still wanted."""


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
        look: Look,
        *,
        gate: str,
    ) -> Explanation:
        """The explanation; explain.watching.Cancelled when `look` says that it is not wanted any more.

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
                    done, expected = self._passes[:]
                    if not look(done, expected):
                        self._unwanted.set()

    def close(self) -> None:
        """End the child, also in the middle of a job."""
        self._unwanted.set()
        self._child.close()


# In the child ---------------------------------------------------------------------------------------------------

_shared: dict[str, Any] = {}


def _begin(packages: Sequence[ModelPackage], threads: int, passes: Any, unwanted: Any) -> None:
    os.nice(10)  # whoever asked can wait a little; a report cannot
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
    second = explain(subject, finding.name, method=method, budget=STANDARD, watch=_watch(STANDARD.forward_passes))
    (second,) = trusted((second,), gate)
    return Explanation(
        second=second,
        first=first,
        agreement=agreement(first, second) if first else {},
        picture=_picture(image, finding, model.package, second),
    )


def _watch(measuring: int) -> Watch:
    """Tell of each batch. The map is made three times, twice of them for its stability; then it is measured."""
    from explain.watching import Watch

    def progress(done: int, total: int) -> None:
        passes = _shared["passes"]
        passes[:] = [max(passes[0], done), max(passes[1], 3 * total + measuring)]

    return Watch(progress=progress, cancelled=_shared["unwanted"].is_set)


def _picture(image: Image, finding: Finding, package: ModelPackage, saliency: Saliency) -> bytes:
    from dicom_node.encode.overlay import draw_overlay

    buffer = io.BytesIO()
    draw_overlay(image, finding, package.model, saliency, None).save(buffer, "PNG")
    return buffer.getvalue()
