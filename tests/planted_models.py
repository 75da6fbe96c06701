"""Models in torch, of two and three dimensions, that see a lesion exactly where it is bright: the answer is known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from models.runtimes.torch_network import TorchNetwork

LEVEL = 0.75


class PlantedLesion(nn.Module):
    """Features, a head of one cell, and the mean: score = mean(head(relu(brightness - level))).

    In two dimensions brightness is that of 2 x 2 px.
    """

    def __init__(self, dimensions: int, gain: float = 200.0) -> None:
        super().__init__()
        conv = (nn.Conv2d, nn.Conv3d)[dimensions - 2]
        first = conv(1, 3, 1)
        first.weight.data = torch.tensor([1.0, -1.0, 0.5]).reshape(3, 1, *[1] * dimensions)
        first.bias.data = torch.tensor([-LEVEL, -0.5, -LEVEL / 2 - 0.125])
        self.features = nn.Sequential(nn.AvgPool2d(2) if dimensions == 2 else nn.Identity(), first, nn.ReLU())
        self.head = conv(3, 1, 1)
        self.head.weight.data = torch.tensor([gain, 0.0, 0.0]).reshape(1, 3, *[1] * dimensions)
        self.head.bias.data = torch.tensor([-3.0])

    def forward(self, images: Tensor) -> Tensor:
        maps: Tensor = self.head(self.features(images))
        return maps.flatten(2).mean(2)


def planted_network(dimensions: int) -> TorchNetwork:
    return TorchNetwork.of(PlantedLesion(dimensions).eval(), "features")


def planted_image(shape: tuple[int, ...], corner: tuple[int, ...], side: int, seed: int = 0):
    """A dim, noisy image with one bright block, and where the block is (bool)."""
    image = np.random.default_rng(seed).uniform(0.2, 0.4, shape).astype(np.float32)
    inside = np.zeros(shape, bool)
    inside[tuple(slice(at, at + side) for at in corner)] = True
    image[inside] = 1.0
    return image, inside
