"""Run a packaged ONNX model, on the GPU where ONNX Runtime finds one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray

from core.errors import ConfigurationError, IntegrityError
from models.packages import ModelPackage

PREFERRED_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")
_COMPLETENESS_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxModel:
    """A model in memory, ready to run."""

    package: ModelPackage
    session: Any

    @property
    def provider(self) -> str:
        """What it runs on: CUDAExecutionProvider or CPUExecutionProvider."""
        return str(self.session.get_providers()[0])

    @classmethod
    def load(cls, package: ModelPackage, *, threads: int) -> OnnxModel:
        """Load the weights and check that the class activation map explains the score completely.

        Raises IntegrityError when the weights are not the published ones, or when mean(map) is not the logit
        (Zhou et al., CVPR 2016, with the bias in the map); ConfigurationError when they are no ONNX model.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        # idle threads that spin take the cores from receiving and encoding: worth more than the last millisecond
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        offered = onnxruntime.get_available_providers()
        providers = [provider for provider in PREFERRED_PROVIDERS if provider in offered]
        weights = package.read_weights()
        try:
            session = onnxruntime.InferenceSession(weights, options, providers=providers)
        except Exception as error:  # a boundary: ONNX Runtime raises a dozen classes without a common base
            raise ConfigurationError(f"the weights of {package.model.name} are no ONNX model") from error
        model = cls(package=package, session=session)
        model._check()
        return model

    def predict(self, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Logits, shape (n, findings), and class activation maps, shape (n, findings, h, w), or None.

        `images`: float32, shape (n, 1, side, side), 0 (black) .. 1 (white).
        """
        names = [name for name in (self.package.logits_name, self.package.maps_name) if name]
        outputs = self.session.run(names, {self.package.input_name: np.ascontiguousarray(images, np.float32)})
        return outputs[0], outputs[1] if len(outputs) > 1 else None

    def _check(self) -> None:
        name = self.package.model.name
        images = np.random.default_rng(0).random((1, 1, 256, 256), np.float32)
        logits, maps = self.predict(images)
        if logits.shape != (1, len(self.package.model.findings)):
            raise IntegrityError(f"{name} gives {logits.shape[1]} scores, its description names other findings")
        if maps is not None and not np.allclose(maps.mean((2, 3)), logits, atol=_COMPLETENESS_TOLERANCE):
            raise IntegrityError(f"the class activation map of {name} does not add up to its score")
