"""Packages of networks that never saw an image: random weights, and otherwise as anybody would export them."""

from __future__ import annotations

import warnings
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from models.package.format import sha256_of
from tests.known_model import make_known_model

SIDE = 64


class Untrained(nn.Module):
    """A convolutional network with random weights and a head whose class activation map is exact."""

    def __init__(self, findings: int) -> None:
        super().__init__()
        widths = (1, 16, 32, 64)
        steps = pairwise(widths)
        blocks = [(nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in steps]
        self.features = nn.Sequential(*(layer for block in blocks for layer in block))
        self.head = nn.Conv2d(widths[-1], findings, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.head(self.features(nn.functional.interpolate(image, (SIDE, SIDE), mode="bilinear")))
        return maps.mean((2, 3)), maps


def make_untrained(
    folder: Path,
    *,
    seed: int,
    names: tuple[str, ...] = ("pneumothorax", "effusion"),
    times: float = 1.0,
    hidden_times: float = 1.0,
) -> Path:
    """Write a package of an untrained network; it claims a sensitivity of 0.99 for everything.

    `times`, `hidden_times`: how much larger than usual the weights of its last layer and of the others are.
    """
    torch.manual_seed(seed)
    network = Untrained(len(names)).eval()
    with torch.no_grad():
        for layer in network.features:
            if isinstance(layer, nn.Conv2d):
                layer.weight.mul_(hidden_times)
        network.head.weight.mul_(times)
    finding = {
        "operating_point": {"threshold": 0.5, "sensitivity": 0.99, "specificity": 0.99},
        "code": {"value": "1", "scheme": "99TEST", "meaning": "Anything"},
    }
    change: dict[str, object] = {
        "findings": [{"name": name, **finding} for name in names],
        "input": {"name": "image", "network_size": SIDE},
    }
    package = make_known_model(folder, name="untrained", change=change)
    weights = package / "models" / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network,
            (torch.zeros(1, 1, 256, 256),),
            str(weights),
            input_names=["image"],
            output_names=["logits", "class_activation"],
            dynamic_axes={"image": {0: "n", 2: "h", 3: "w"}},
            dynamo=False,
        )
    description = package / "candor.json"
    old = description.read_text()
    before = old[old.index('"sha256": "') + 11 :][:64]
    description.write_text(old.replace(before, sha256_of(weights)))
    (package / "docs" / "explanation.json").unlink()
    return package
