"""The negative control of localisation: ImageNet features that never saw a radiograph, and a linear head on top.

Its scores are better than chance, so its maps look like explanations too. If the trained network's maps did not point
better than these, pointing would be no evidence of anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from models.examples import Example
from models.training.chest.network import ChestNetwork
from models.training.chest.train import resized


def frozen_control(examples: Sequence[Example], finding: str, size: int) -> ChestNetwork:
    """A network with frozen ImageNet features whose head is fitted (logistic regression) to radiologists' labels."""
    network = ChestNetwork(1).eval()
    spoken = [example for example in examples if example.targets[finding].source == "radiologists"]
    features = _pool(network, spoken, size)
    truths = torch.tensor([[example.targets[finding].value] for example in spoken])
    spread, mean = features.std(0) + 1e-6, features.mean(0)
    weight, bias = _fit((features - mean) / spread, truths)
    network.head.weight.data = (weight / spread).reshape(1, -1, 1, 1)
    network.head.bias.data = bias - (weight * mean / spread).sum(1)  # type: ignore[union-attr]
    return network


def _pool(network: ChestNetwork, examples: Sequence[Example], size: int) -> Tensor:
    pooled = []
    with torch.inference_mode():
        for start in range(0, len(examples), 16):
            images = torch.cat([resized(e.read(), size) for e in examples[start : start + 16]])
            pooled.append(network.features(images).mean((2, 3)))
    return torch.cat(pooled).clone()


def _fit(features: Tensor, truths: Tensor, penalty: float = 0.01) -> tuple[Tensor, Tensor]:
    weight = torch.zeros(1, features.shape[1], requires_grad=True)
    bias = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, bias], max_iter=100)

    def loss() -> float:
        optimiser.zero_grad()
        value = binary_cross_entropy_with_logits(features @ weight.T + bias, truths) + penalty * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return float(value.detach())

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), bias.detach()
