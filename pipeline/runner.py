"""The model runner: a child process that decodes pixels and runs models.

Native decoders and model runtimes can crash or run out of memory; in a child of their own they take one job with
them and nothing else. One job at a time goes to the child, so that a death has one suspect; that job is answered with
Unavailable, the next one finds a fresh child.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import structlog

from models.packages import ModelPackage

if TYPE_CHECKING:
    from models.onnx_runtime import OnnxModel

from core.domain import Image, Prediction
from core.errors import Unavailable
from core.log import configure_logging

T = TypeVar("T")
_log = structlog.get_logger()


class Runner:
    """A child process with every model loaded; safe to call from many threads."""

    def __init__(self, packages: Sequence[ModelPackage], *, threads: int) -> None:
        self._folders = tuple(package.folder for package in packages)
        self._threads = threads or os.cpu_count() or 1
        self._lock = threading.Lock()
        self._pool = self._start()

    def predict(self, package: ModelPackage, part10: bytes, sop_instance_uid: str) -> Prediction:
        """Decode a Part 10 object and run one model on it; InvalidStudy when it cannot be decoded."""
        return self._call(_predict, package.model.sha256, part10, sop_instance_uid)

    def decode(self, part10: bytes) -> Image:
        """The first frame of a Part 10 object as a reader would see it."""
        return self._call(_decode, part10)

    def warm_up(self) -> dict[str, str]:
        """Load every model now; returns which execution provider each one runs on, by name and version."""
        return self._call(_providers)

    def close(self) -> None:
        """End the child."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _call(self, job: Callable[..., T], *arguments: object) -> T:
        with self._lock:
            try:
                return self._pool.submit(job, *arguments).result()
            except BrokenProcessPool:
                _log.error("runner.died", name=job.__name__)
                self._pool = self._start()
        raise Unavailable("the model runner died while it read this image; out of memory, or a damaged image")

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=1,
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=(self._folders, self._threads),
        )


# In the child ---------------------------------------------------------------------------------------------------------

_models: dict[str, OnnxModel] = {}


def _begin(folders: Sequence[Path], threads: int) -> None:
    from models.onnx_runtime import OnnxModel
    from models.packages import load_package

    threading.Thread(target=_end_with_parent, daemon=True).start()
    configure_logging(json=True)
    for folder in folders:
        package = load_package(folder)
        _models[package.model.sha256] = OnnxModel.load(package, threads=threads)


def _end_with_parent() -> None:
    """A worker that is killed must not leave a child behind that holds the GPU."""
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _predict(sha256: str, part10: bytes, sop_instance_uid: str) -> Prediction:
    from inference.run import infer

    image = _decode(part10)
    return infer(_models[sha256], image, sop_instance_uid)


def _decode(part10: bytes) -> Image:
    from dicom_node.pixels import decode

    return decode(part10)


def _providers() -> dict[str, str]:
    return {f"{m.package.model.name} {m.package.model.version}": m.provider for m in _models.values()}
