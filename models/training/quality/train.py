"""The recipe of the quality check: a small network from scratch on faults that are made as they are needed.

Every batch is a function of (seed, step) alone, so a run is repeatable. Sound images are radiographs of adults (and of
children, who are a fault of their own); faulty ones are the same images, spoilt. A question about an image that has no
answer has no weight: whether noise is inverted, whether a patient of 15 looks like a child.

The real danger is the child. Most children come from another hospital than the adults, so a network could learn the
hospital. Therefore: their grey values are always exchanged for those of an adult's image, as are those of every
second adult; all are squeezed into one square and stretched at random; corners and edges are overpainted; and a third
of the children drawn are those whom the adults' hospital has too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.examples import Example, read_pixels
from models.training.quality import faults
from models.training.quality.network import SIZE, Familiar, QualityNetwork
from models.training.quality.unrelated import unrelated

FAULTS = ("rotated", "inverted", "cropped", "screen", "exposure", "child", "stranger")
_SPOILT = ("sound", "rotated", "inverted", "cropped", "screen", "exposure", "stranger")
CHILD_BELOW_YEARS = 10  # for training: between this and 18 the image does not show it
ADULT_YEARS = 18
_LEAST_TIER = 128


class ChildLike(Protocol):
    """A radiograph of a child from a hospital of its own."""

    @property
    def name(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def split(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the result besides the data. `shares`: how often each of `_SPOILT` is drawn."""

    seed: int = 1
    steps: int = 1600
    batch: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    ema_decay: float = 0.99
    child_share: float = 0.15
    shares: tuple[float, ...] = (0.36, 0.12, 0.08, 0.12, 0.11, 0.07, 0.14)
    familiar_images: int = 3000


@dataclass(frozen=True, slots=True)
class Batch:
    """Images (B, 1, S, S), targets and weights (B, K)."""

    images: Tensor
    targets: Tensor
    weights: Tensor


class Pool:
    """The training images in memory: adults, children of the same hospital, children of another."""

    def __init__(self, examples: Sequence[Example], children: Sequence[ChildLike], recipe: Recipe) -> None:
        training = [e for e in examples if e.split == "train" and e.tier >= _LEAST_TIER]
        self.recipe = recipe
        self.adults = [_shrunk(e.path) for e in training if e.age_years >= ADULT_YEARS]
        self.youths = [_shrunk(e.path) for e in training if e.age_years < CHILD_BELOW_YEARS]
        self.children = [_shrunk(child.path) for child in children if child.split == "train"]

    def batch(self, step: int) -> Batch:
        """The batch of one step: a function of (seed, step) alone."""
        random = np.random.default_rng([self.recipe.seed, step])
        views = [self._view(random) for _ in range(self.recipe.batch)]
        images, targets, weights = zip(*views, strict=True)
        return Batch(torch.cat(images), torch.tensor(targets), torch.tensor(weights))

    def sound_adult(self, random: Generator) -> Tensor:
        """A sound radiograph of an adult, framed and exposed like many, (1, 1, S, S)."""
        image = faults.warped(
            self._one(self.adults, random), faults.sound_view(random), SIZE, faults.any_padding(random)
        )
        return faults.exposed(image, random).clamp(0, 1)

    def _one(self, images: Sequence[NDArray[np.uint8]], random: Generator) -> Tensor:
        array = images[int(random.integers(0, len(images)))]
        return torch.from_numpy(array.astype(np.float32) / 255.0)[None, None]

    def _view(self, random: Generator) -> tuple[Tensor, list[float], list[float]]:
        kind = str(random.choice(_SPOILT, p=self.recipe.shares))
        image, is_child, matched = self._subject(random)
        targets = dict.fromkeys(FAULTS, 0.0)
        weights = dict.fromkeys(FAULTS, 1.0)
        if matched:
            image = faults.with_greys_of(image, self._one(self.adults, random))
        if kind == "stranger":
            picture = unrelated(image, random, SIZE)
            return picture, _only("stranger"), _only("stranger")
        targets["child"] = float(is_child)
        if kind != "sound":
            targets[kind] = 1.0
        if random.random() < 0.15 and kind not in {"sound", "exposure"}:  # two faults at once
            targets[str(random.choice(("rotated", "inverted")))] = 1.0
        picture = self._spoilt(image, targets, random)
        if targets["exposure"]:
            return picture, list(targets.values()), _only("exposure")
        if kind != "sound":
            weights["stranger"] = 0.0 if targets["cropped"] else 0.3
        if targets["cropped"] or targets["screen"]:
            weights["child"] = 0.0
        return picture, list(targets.values()), list(weights.values())

    def _subject(self, random: Generator) -> tuple[Tensor, bool, bool]:
        """An image, whether it is a child's, and whether its greys are to be exchanged for an adult's."""
        if random.random() >= self.recipe.child_share:
            return self._one(self.adults, random), False, random.random() < 0.5
        if self.children and random.random() < 0.6:
            return self._one(self.children, random), True, True
        return self._one(self.youths or self.children, random), True, random.random() < 0.2

    def _spoilt(self, image: Tensor, targets: dict[str, float], random: Generator) -> Tensor:
        matrix = faults.sound_view(random)
        if targets["rotated"]:
            matrix = faults.rotated(random)
        if targets["cropped"]:
            crop = faults.cropped(random)
            matrix = _one_after_the_other(crop, matrix) if targets["rotated"] else crop
        picture = faults.warped(image, matrix, SIZE, faults.any_padding(random))
        picture = faults.exposed(picture, random)
        if targets["inverted"]:
            picture = 1 - picture
        if targets["exposure"]:
            picture = faults.badly_exposed(picture.clamp(0, 1), random)
        picture = faults.overpainted(picture.clamp(0, 1), random)
        return faults.photographed(picture, random) if targets["screen"] else picture.clamp(0, 1)


def train(
    examples: Sequence[Example],
    children: Sequence[ChildLike],
    recipe: Recipe,
    progress: Callable[[int, float], None] | None = None,
) -> tuple[QualityNetwork, Familiar]:
    """The averaged network and what it holds for familiar; one thread, so that the same seed gives the same run.

    `progress` receives the number of steps done and the loss, after each step.
    """
    torch.set_num_threads(1)
    torch.manual_seed(recipe.seed)
    pool = Pool(examples, children, recipe)
    network = QualityNetwork(len(FAULTS))
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema_decay), use_buffers=True)  # type: ignore[no-untyped-call]
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(pool.batch, 0)
        for step in range(recipe.steps):
            batch, coming = coming.result(), ahead.submit(pool.batch, step + 1)
            loss = _step(network, optimiser, batch, recipe, step)
            average.update_parameters(network)
            if progress:
                progress(step + 1, loss)
    averaged: QualityNetwork = average.module.eval()  # type: ignore[assignment]
    return averaged, _familiar(averaged, pool)


def _step(network: QualityNetwork, optimiser: torch.optim.Optimizer, batch: Batch, recipe: Recipe, step: int) -> float:
    warm_up = max(1, recipe.steps // 20)
    share = (step + 1) / warm_up if step < warm_up else 0.5 * (1 + math.cos(math.pi * step / recipe.steps)) + 0.005
    for group in optimiser.param_groups:
        group["lr"] = recipe.learning_rate * share
    torch.manual_seed(recipe.seed + step)  # dropout
    network.train()
    _, logits = network(batch.images)
    losses = binary_cross_entropy_with_logits(logits, batch.targets, reduction="none")
    loss = (losses * batch.weights).sum(1).mean()
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
    optimiser.step()
    return float(loss.detach())


def _familiar(network: QualityNetwork, pool: Pool) -> Familiar:
    random = np.random.default_rng([pool.recipe.seed, 1_000_003])
    images = torch.cat([pool.sound_adult(random) for _ in range(pool.recipe.familiar_images)])
    with torch.inference_mode():
        features = torch.cat([network(part)[0] for part in torch.split(images, 256)])
    return Familiar(features.clone(), images)


def _shrunk(path: Path) -> NDArray[np.uint8]:
    """An image as uint8 of at most 256 px: more is not seen at 96, except where little of it is cut out."""
    pixels = read_pixels(path)
    if max(pixels.shape) <= 256:
        return pixels
    image = torch.from_numpy(pixels.astype(np.float32))[None, None]
    small = interpolate(image, (256, 256), mode="bilinear", antialias=True, align_corners=False)
    return small[0, 0].round().clamp(0, 255).numpy().astype(np.uint8)


def _one_after_the_other(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """The (2, 3) matrix that sees through `first` what `second` sees."""
    lower = np.array([[0, 0, 1]], np.float32)
    product: NDArray[np.float32] = (np.vstack([second, lower]) @ np.vstack([first, lower]))[:2]
    return product


def _only(fault: str) -> list[float]:
    return [float(name == fault) for name in FAULTS]
