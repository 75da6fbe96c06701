"""What gradient methods ask of a model: scores, the slope of a score, and the last feature maps with theirs.

In numpy, so that no other module needs torch. Two ways to make one: `from_weights` for the ONNX file of a package, and
`TorchNetwork` around any torch module (images of two or three dimensions) whose feature layer is named.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.errors import ConfigurationError
from models.package.format import ModelPackage
from models.runtimes.torch_onnx import OnnxNetwork

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A feature layer of one image: `activations` and `gradients` of the score, each (channels, *cells).

    `mirrored`: it saw the image mirrored left to right, so its cells have to be mirrored back.
    """

    activations: Floats
    gradients: Floats
    mirrored: bool = False


Traced = tuple[Tensor, list[tuple[Tensor, bool]]]
"""Logits (N, findings), and the feature layers (N, channels, *cells) with whether they are mirrored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchNetwork:
    """A network that can be asked for gradients. `trace` runs it on images (N, 1, *shape)."""

    trace: Callable[[Tensor], Traced]

    @classmethod
    def of(cls, module: nn.Module, layer: str) -> TorchNetwork:
        """Around a module that gives logits (N, findings); `layer` names the submodule with its last feature maps."""
        submodule = module.get_submodule(layer)

        def trace(images: Tensor) -> Traced:
            seen: list[Tensor] = []
            hook = submodule.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
            try:
                logits = module(images)
            finally:
                hook.remove()
            return logits, [(features, False) for features in seen]

        return cls(trace=trace)

    @classmethod
    def from_package(cls, package: ModelPackage) -> TorchNetwork:
        """The weights that the package ships; raises ConfigurationError when torch does not know an operator."""
        if package.reads.range != (0.0, 1.0):
            raise ConfigurationError("no gradients for this model: its input does not run from 0 to 1")
        return _of_weights(package.read_weights(), package.logits_name)

    @classmethod
    def from_weights(cls, weights: bytes, logits_name: str = "logits") -> TorchNetwork:
        """An ONNX file whose output `logits_name` holds the scores. Its feature layers are found, not named:
        what its last convolution (the head) reads, once for each way the image is looked at.
        """
        network = OnnxNetwork(weights).eval()
        mirrored = network.mirrored()
        names = _feature_layers(network, mirrored)

        def trace(images: Tensor) -> Traced:
            values = network.trace(images)
            return values[logits_name], [(values[name], name in mirrored) for name in names]

        return cls(trace=trace)

    def scores(self, images: Floats) -> Floats:
        """Logits, shape (N, findings), of images (N, *shape), 0..1."""
        with torch.inference_mode():
            logits, _ = self.trace(_tensor(images))
        return np.asarray(logits.numpy(), np.float32)

    def gradients(self, images: Floats, finding: int) -> Floats:
        """Slope of the score of finding number `finding` at each pixel: same shape as `images` (N, *shape)."""
        pixels = _tensor(images).requires_grad_()
        logits, _ = self.trace(pixels)
        (slope,) = torch.autograd.grad(logits[:, finding].sum(), pixels)
        return np.asarray(slope[:, 0].numpy(), np.float32)

    def activations_and_gradients(self, image: Floats, finding: int) -> list[Layer]:
        """The feature layers of one image (*shape), each with the slope of the finding's score at each cell."""
        logits, layers = self.trace(_tensor(image[np.newaxis]).requires_grad_())
        slopes = torch.autograd.grad(logits[0, finding], [features for features, _ in layers])
        return [
            Layer(activations=features.detach()[0].numpy(), gradients=slope[0].numpy(), mirrored=turned)
            for (features, turned), slope in zip(layers, slopes, strict=True)
        ]


@lru_cache(maxsize=1)
def _of_weights(weights: bytes, logits_name: str) -> TorchNetwork:
    """One network stays, because maps are asked for one after the other of one model."""
    return TorchNetwork.from_weights(weights, logits_name)


def _tensor(images: Floats) -> Tensor:
    return torch.from_numpy(np.array(images[:, np.newaxis], np.float32))  # a copy: torch wants to be able to write


def _feature_layers(network: OnnxNetwork, mirrored: frozenset[str]) -> list[str]:
    heads: dict[bool, str] = {}
    for operator, inputs, _, _ in network.nodes:
        if operator == "Conv":
            heads[inputs[0] in mirrored] = inputs[0]
    if not heads:
        raise ConfigurationError("no gradient maps for this model: it has no convolution")
    return list(heads.values())
