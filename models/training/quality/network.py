"""The network behind the quality check, and the graph that ships: one score per fault, and two distances.

Small on purpose (about a quarter of a million weights at 96 px): it runs on every image before the chest model does.
The distances need no bad example: how far the features lie from those of sound radiographs (Mahalanobis: Lee et al.,
NeurIPS 2018), and how much of a thumbnail the principal components of sound radiographs leave unexplained.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

SIZE = 96  # px of the square that the network sees; the source is squeezed into it, whatever its shape
THUMBNAIL = 24
FEATURES = 64


class QualityNetwork(nn.Module):
    """(B, 1, 96, 96) 0..1 -> features (B, 64) and one logit per fault (B, K)."""

    def __init__(self, faults: int) -> None:
        super().__init__()
        widths = (1, 16, 32, 48, 64, 96)
        stages = [_stage(a, b) for a, b in pairwise(widths)]
        self.body = nn.Sequential(*stages)  # 96 -> 3
        self.neck = nn.Sequential(
            nn.Flatten(), nn.Linear(widths[-1] * 9, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU()
        )
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(FEATURES, faults)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits."""
        features = self.neck(self.body((images - 0.5) * 4))
        return features, self.head(self.drop(features))


def _stage(a: int, b: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(a, b, 3, 2, 1, bias=False),
        nn.BatchNorm2d(b),
        nn.ReLU(),
        nn.Conv2d(b, b, 3, 1, 1, bias=False),
        nn.BatchNorm2d(b),
        nn.ReLU(),
    )


class Familiar(nn.Module):
    """What sound radiographs look like: mean and whitening of features, principal components of thumbnails.

    Both distances are 1 at their average over the sound training images.
    """

    mean: Tensor
    whitening: Tensor
    thumbnail_mean: Tensor
    components: Tensor
    usual: Tensor

    def __init__(self, features: Tensor, images: Tensor, components: int = 48) -> None:
        super().__init__()
        self.register_buffer("mean", features.mean(0))
        covariance = torch.cov(features.double().T)
        covariance += torch.eye(len(covariance), dtype=torch.float64) * float(covariance.diagonal().mean()) * 0.05
        self.register_buffer("whitening", torch.linalg.inv(torch.linalg.cholesky(covariance)).T.float())
        thumbnails = _thumbnails(images)
        self.register_buffer("thumbnail_mean", thumbnails.mean(0))
        _, _, basis = torch.linalg.svd(thumbnails - self.thumbnail_mean, full_matrices=False)
        self.register_buffer("components", basis[:components].T.contiguous())
        self.register_buffer("usual", torch.ones(2))
        self.register_buffer("usual", self(features, images).mean(0))

    def forward(self, features: Tensor, images: Tensor) -> Tensor:
        """Distances (B, 2): of the features, of the thumbnail."""
        of_features = (((features - self.mean) @ self.whitening) ** 2).mean(1).sqrt()
        centred = _thumbnails(images) - self.thumbnail_mean
        left_over = centred - (centred @ self.components) @ self.components.T
        return torch.stack([of_features, (left_over**2).mean(1).sqrt()], 1) / self.usual


def _thumbnails(images: Tensor) -> Tensor:
    """(B, 576): means over 4 x 4 px, brought to mean 0 and spread 1, so that exposure does not count."""
    flat = avg_pool2d(images, SIZE // THUMBNAIL).flatten(1)
    centred = flat - flat.mean(1, keepdim=True)
    return centred / ((centred**2).mean(1, keepdim=True).sqrt() + 0.02)


class QualityGraph(nn.Module):
    """The graph that ships: any (1, 1, H, W) 0..1 -> scores (1, K + 2): probabilities of faults, then distances."""

    def __init__(self, network: QualityNetwork, familiar: Familiar) -> None:
        super().__init__()
        self.network = network
        self.familiar = familiar

    def forward(self, image: Tensor) -> Tensor:
        """Scores of an image of any size."""
        small = interpolate(image, (SIZE, SIZE), mode="bilinear", antialias=True, align_corners=False)
        features, logits = self.network(small)
        return torch.cat([logits.sigmoid(), self.familiar(features, small)], 1)
