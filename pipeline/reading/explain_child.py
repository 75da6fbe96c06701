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
from core.domain.input import ModelInput
from core.domain.model import ModelVersion
from core.domain.report import Finding
from core.domain.study import Image
from core.errors import Cancelled, Unsupported
from core.progress import Progress, cancellable
from core.store.objects import ObjectStore
from explain.batches import PASSES
from models.package.format import ModelPackage
from pipeline.reading.children import Child
from pipeline.reading.loaded_models import Files, LoadedModels, decoded
from pipeline.reading.service import files_of

if TYPE_CHECKING:
    from explain.batches import Floats
    from models.runtimes.protocol import Outputs, Runtime

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

    def __init__(self, packages: Sequence[ModelPackage], objects: ObjectStore, *, threads: int) -> None:
        context = get_context("spawn")
        self._objects = objects
        self._passes: Any = context.Array("q", [0, 0])
        self._unwanted: Any = context.Event()
        self._child = Child(
            Explainer,
            arguments=(tuple(packages), threads or os.cpu_count() or 1, self._passes, self._unwanted),
            longest_seconds=LONGEST_EXPLANATION_SECONDS,
        )

    def explain(
        self, model: ModelVersion, what: ModelInput, finding: Finding, method: str, progress: Progress, *, gate: str
    ) -> Explanation:
        """The explanation; `progress` counts forward passes, of about how many, and may raise Cancelled.

        `gate`: why no map of this model is shown, "" when they are; neither the map nor the picture goes round it.
        Raises Unsupported for a volume.
        """
        if what.is_volume:
            raise Unsupported("a map of a volume is made with the report only, not on demand")
        self._passes[:] = [0, 0]
        self._unwanted.clear()
        files = files_of(what, self._objects)
        job = partial(self._child.call, Explainer.explain, model.device_uid, what, files, finding, method, gate)
        with ThreadPoolExecutor(1) as waiting:
            future: Future[Explanation] = waiting.submit(job)
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


class Explainer:
    """What the child holds: the models, how far the job is (shared with the worker), and whether it is unwanted."""

    def __init__(self, packages: Sequence[ModelPackage], threads: int, passes: Any, unwanted: Any) -> None:
        os.nice(10)  # a person who asked can wait a little; a report cannot
        self._loaded = LoadedModels(packages, threads)
        self._passes = passes
        self._unwanted = unwanted

    def explain(
        self, device_uid: str, what: ModelInput, files: Files, finding: Finding, method: str, gate: str
    ) -> Explanation:
        """The second map of a finding on one image, the first, and how alike they are."""
        from explain.explanation import agreement, explain
        from explain.faithfulness import STANDARD
        from explain.maps.class_activation import explain as explain_by_the_graph
        from explain.subject import Subject
        from inference.run import infer
        from pipeline.trust import withhold

        model = self._loaded.models[device_uid]
        images = decoded(model.package, files)
        first = next(iter(explain_by_the_graph(infer(model, what, images), what, finding.name)), None)
        subject = Subject.of(_Counted(model, self._passes), images[0], what.sop_instance_uids[0])
        progress = self._counted(STANDARD.forward_passes)
        second = explain(subject, finding.name, method=method, budget=STANDARD, progress=progress)
        (second,) = withhold((second,), gate)
        return Explanation(
            second=second,
            first=first,
            agreement=agreement(first, second) if first else {},
            picture=_picture(images[0], finding, model.package, second),
        )

    def _counted(self, measuring: int) -> Progress:
        """Count each batch: the map is made three times, two for its stability, then measured."""

        def progress(_what: str, done: int, total: int, _note: str = "") -> None:
            self._passes[:] = [max(self._passes[0], done), max(self._passes[1], 3 * total + measuring)]

        return cancellable(self._unwanted.is_set, progress)


class _Counted:
    """A model that counts the images it is shown."""

    def __init__(self, model: Runtime, passes: Any) -> None:
        self._model = model
        self._passes = passes

    @property
    def package(self) -> ModelPackage:
        return self._model.package

    def predict(self, arrays: Floats) -> Outputs:
        self._passes[0] += len(arrays)
        return self._model.predict(arrays)


def _picture(image: Image, finding: Finding, package: ModelPackage, saliency: Saliency) -> bytes:
    from dicom_node.encode.picture.finding import draw_finding

    buffer = io.BytesIO()
    draw_finding(image, finding, package.model, saliency, None).save(buffer, "PNG")
    return buffer.getvalue()
