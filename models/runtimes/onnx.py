"""Run a packaged ONNX model, on the GPU where ONNX Runtime finds one that works, else on the processor, saying why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from core.errors import ConfigurationError, IntegrityError
from core.wording import on_a_terminal
from models.package.format import ModelPackage
from models.runtimes.devices import CPU, CUDA, why_not_offered
from models.runtimes.preparation import in_type, logits_of, prepare
from models.runtimes.protocol import Batch, Outputs

PREFERRED_PROVIDERS = (CUDA, CPU)
_COMPLETENESS_TOLERANCE = 1e-5
_TRIAL_SLICES = 16
_SAME = 1e-2  # of scores: float16 and eight-bit graphs differ a little from batch to batch
_WHERE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (?:\S+\.(?:cc|h):\d+ .*?\) (?=[A-Z]))?")  # in its source
_ROUNDING = 8 * float(np.finfo(np.float32).eps)  # of a mean, relative to the largest cell of the map


@dataclass(slots=True, kw_only=True)
class OnnxModel:
    """A model in memory, ready to run. `fallback`: why it does not run on the GPU, "" when it does."""

    package: ModelPackage
    session: Any
    threads: int = 1
    fallback: str = ""

    @property
    def provider(self) -> str:
        """What it runs on: CUDAExecutionProvider or CPUExecutionProvider."""
        return str(self.session.get_providers()[0])

    @classmethod
    def load(cls, package: ModelPackage, *, threads: int, providers: Sequence[str] = PREFERRED_PROVIDERS) -> OnnxModel:
        """Load the weights on the first provider that works, and check that the map explains the score completely.

        Raises IntegrityError when the weights are not the published ones, or when mean(map) is not the logit
        (Zhou et al., CVPR 2016, with the bias in the map); ConfigurationError when they are no ONNX model, or not the
        one that is described.
        """
        weights, fallback = package.read_weights(), ""
        for provider in providers[:-1]:
            fallback = why_not_offered(provider, onnxruntime.get_available_providers())
            if fallback:
                continue
            try:
                model = cls(package=package, session=_session(package, weights, threads, provider), threads=threads)
                fallback = "" if model.provider == provider else f"{provider} did not start; the log says why"
                model._check()
            except ConfigurationError as error:  # no driver, no memory, a kernel that this card lacks
                fallback = f"{provider} failed: {_first_line(error.__cause__ or error)}"
            if not fallback:
                return model
        session = _session(package, weights, threads, providers[-1])
        model = cls(package=package, session=session, threads=threads, fallback=fallback)
        model._check()
        return model

    def predict(self, arrays: Batch) -> Outputs:
        """As `models.runtimes.protocol.Runtime`. A GPU that fails is left for the processor, for good: the answer is
        late, not lost.
        """
        try:
            return self._run(arrays)
        except Exception as error:  # boundary to ONNX Runtime: a failing GPU raises classes without a common base
            if self.provider == CPU:
                raise
            self.fallback = f"{self.provider} failed: {_first_line(error)}"
            self.session = _session(self.package, self.package.read_weights(), self.threads, CPU)
            return self._run(arrays)

    def _run(self, arrays: Batch) -> Outputs:
        names = [name for name in (self.package.logits_name, self.package.maps_name) if name]
        taken = self.session.get_inputs()[0]
        images = in_type(prepare(arrays, self.package.reads), taken.type)
        if taken.shape[:1] == [1] and len(images) > 1:  # exported for one image at a time
            parts = [self.session.run(names, {self.package.input_name: image[np.newaxis]}) for image in images]
            outputs = [np.concatenate(part) for part in zip(*parts, strict=True)]
        else:
            outputs = self.session.run(names, {self.package.input_name: images})
        maps = outputs[1].astype(np.float32, copy=False) if len(outputs) > 1 else None
        return Outputs(logits_of(outputs[0], self.package.reads), maps)

    def check_answers(self) -> None:
        """ConfigurationError when an image's score is not its own: another one each time, or with another image."""
        name, images = self.package.model.name, np.random.default_rng(0).random((2, 1, 256, 256), np.float32)
        images[1] /= 2
        alone, again, both = (self.predict(images[:count]).scores[:1] for count in (1, 1, 2))
        for found, tolerated, words in ((again, 1e-5, "when asked again"), (both, _SAME, "together with another")):
            if not np.allclose(found, alone, rtol=tolerated, atol=tolerated):
                raise ConfigurationError(
                    f"{name} gives the same image another score {words}, as a network in training does; "
                    "call model.eval() before it is exported"
                )

    def _check(self) -> None:
        name = self.package.model.name
        depth = (self.package.reads.slices or _TRIAL_SLICES,) if self.package.reads.is_volume else ()
        try:
            logits, maps = self._run(np.random.default_rng(0).random((1, 1, *depth, 256, 256), np.float32))
        except Exception as error:  # a boundary: ONNX Runtime raises a dozen classes without a common base
            raise ConfigurationError(
                f"{name} does not run as its description says: {on_a_terminal(_first_line(error))}"
            ) from error
        if logits.shape != (1, len(self.package.model.findings)):
            findings = ", ".join(finding.name for finding in self.package.model.findings)
            raise IntegrityError(f"{name} gives {logits.shape[1]} scores, and its description names {findings}")
        if not np.isfinite(logits).all():
            raise ConfigurationError(
                f"{name} answers a picture of noise with something that is no number (NaN); export other weights"
            )
        if maps is not None and _incompleteness(logits, maps) > 1.0:
            raise IntegrityError(f"the class activation map of {name} does not add up to its score")


def _incompleteness(logits: NDArray[np.float32], maps: NDArray[np.float32]) -> float:
    """How far mean(map) is from the logit, in units of what is tolerated.

    1e-5; but a float32 graph sums maps of large cells no better than a few units in the last place of the largest,
    which passes 1e-5 where cells are above 10 (those of the shipped model are below 15, and differ by 4e-7).
    """
    tolerated = max(_COMPLETENESS_TOLERANCE, _ROUNDING * float(np.abs(maps).max()))
    return float(np.abs(maps.mean(tuple(range(2, maps.ndim)), dtype=np.float64) - logits).max()) / tolerated


def _session(package: ModelPackage, weights: bytes, threads: int, provider: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # idle threads that spin take the cores from receiving and encoding: worth more than the last millisecond
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = [provider] if provider == CPU else [provider, CPU]  # an operator that the GPU lacks runs on the processor
    try:
        return onnxruntime.InferenceSession(weights, options, providers=wanted, enable_fallback=0)
    except Exception as error:  # a boundary: ONNX Runtime raises a dozen classes without a common base
        raise ConfigurationError(
            f"the weights of {package.model.name} are no ONNX model that starts here: "
            f"{on_a_terminal(_first_line(error))}"
        ) from error


def _first_line(error: BaseException) -> str:
    said = _WHERE.sub("", (str(error).splitlines() or [""])[0])
    return said[:200] or type(error).__name__
