"""The recipe of `chest_radiograph`: fine-tune on labelled radiographs, several findings at once.

Every batch is a function of (seed, step) alone, so a run is repeatable, and one that was interrupted goes on from
its last checkpoint as if nothing had happened. Three losses are summed: binary cross entropy masked by what is
known, and, where readers drew boxes, cross entropy of the map's softmax against the box, which teaches the map to
point. Weights are averaged over the run (EMA); the average is what is evaluated and shipped.

Text-mined labels are noisy, so from the second cycle on the network is also its own teacher: they become the mean of
the label and of what the average of the cycle before says (Furlanello et al., Born-Again Neural Networks, ICML 2018).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, binary_cross_entropy_with_logits, interpolate
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.examples import Example, Pixels, box_mask, target_arrays
from models.runtimes.devices import torch_device
from models.training.chest.augmentation import degraded, exposed, overpainted, random_affine, warped
from models.training.chest.network import ChestNetwork, both_ways


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that decides the result besides the data.

    `cycles`: steps of each cosine cycle, the rate starting again with each (Loshchilov 2017). `sizes`: network sizes
    in px, equal shares of each cycle. `self_teaching`: share of the network's own word in a text-mined label from the
    second cycle on; what no label says of an image it then says alone, at the weight `self_teaching_weight`. `mixup`:
    parameter of the beta distribution of how much of another image each is mixed with (Zhang et al., mixup, ICLR 2018);
    0: none, which docs/studies/training.md gives the figures for.
    `network_size`: px that the shipped graph resizes to; of 224, 256 and 288 the best on validation patients.
    """

    findings: tuple[str, ...]
    seed: int = 1
    cycles: tuple[int, ...] = (800, 1000)
    batch: int = 32
    sizes: tuple[int, ...] = (160, 192, 224, 256)
    network_size: int = 224
    learning_rate: float = 4e-4
    head_learning_rate: float = 2e-3
    weight_decay: float = 0.02
    frozen_blocks: int = 3
    box_weight: float = 0.3
    ema_decay: float = 0.997
    mixup: float = 0.0
    self_teaching: float = 0.4
    self_teaching_weight: float = 0.3
    checkpoint_every: int = 50

    @property
    def teaching_steps(self) -> frozenset[int]:
        """The first step of each cycle but the first: before these the network softens its labels."""
        return frozenset(sum(self.cycles[:index]) for index in range(1, len(self.cycles)))

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return sum(self.cycles)

    def position(self, step: int) -> tuple[int, int]:
        """Step within its cycle, and the steps of that cycle."""
        for cycle in self.cycles:
            if step < cycle:
                return step, cycle
            step -= cycle
        return self.cycles[-1], self.cycles[-1]


@dataclass(frozen=True, slots=True)
class Batch:
    """Images (B, 1, S, S), targets and weights (B, K), box mask (B, 1, S, S), index of its finding or -1 (B)."""

    images: Tensor
    targets: Tensor
    weights: Tensor
    masks: Tensor
    boxed: Tensor


class Pool:
    """All training images (uint8, as stored), and how often each should be drawn."""

    def __init__(self, examples: Sequence[Example], recipe: Recipe) -> None:
        self.recipe = recipe
        self.examples = examples
        self.pixels = Pixels(examples)
        values, weights = target_arrays(examples, recipe.findings)
        self.labels, self.label_weights = torch.from_numpy(values), torch.from_numpy(weights)
        self.values, self.weights = self.labels, self.label_weights  # what is trained on: softened later
        self.positive_weight = _positive_weights(values, weights)
        self.by_radiologists = torch.tensor(
            [[e.targets[name].source == "radiologists" for name in recipe.findings] for e in examples]
        )
        self.draw = torch.tensor([_draw_weight(example) for example in examples])

    def batch(self, step: int) -> Batch:
        """The batch of one step: a function of (seed, step) alone."""
        random = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + step)
        chosen = torch.multinomial(self.draw, self.recipe.batch, generator=random)
        size = size_at(self.recipe, step)
        views = [self._view(int(index), size, random) for index in chosen]
        images, masks, boxed = zip(*views, strict=True)
        batch = Batch(
            torch.cat(images), self.values[chosen], self.weights[chosen], torch.cat(masks), torch.tensor(boxed)
        )
        return mixed(batch, self.recipe.mixup, step) if self.recipe.mixup else batch

    def soften(self, teacher: ChestNetwork) -> None:
        """Mix what `teacher` says into every label that no radiologist gave; what is unknown becomes its word alone."""
        logits, _ = predict(teacher, self.pixels, min(self.recipe.sizes))
        said = torch.sigmoid(torch.from_numpy(logits) - self.positive_weight.log())  # the loss had raised the odds
        share = self.recipe.self_teaching
        unknown = self.label_weights == 0
        mixed = torch.where(unknown, said, (1 - share) * self.labels + share * said)
        self.values = torch.where(self.by_radiologists, self.labels, mixed)
        self.weights = torch.where(unknown, torch.tensor(self.recipe.self_teaching_weight), self.label_weights)

    def _view(self, index: int, size: int, random: torch.Generator) -> tuple[Tensor, Tensor, int]:
        image = torch.from_numpy(self.pixels[index].astype(np.float32) / 255.0)[None, None]
        matrix = random_affine(random)
        seen = overpainted(warped(exposed(degraded(image, random), random), matrix, size), random)
        boxes = self.examples[index].boxes
        if not boxes:
            return seen, torch.zeros(1, 1, size, size), -1
        mask = torch.from_numpy(box_mask(boxes, boxes[0].finding, 128))[None, None]
        return seen, warped(mask, matrix, size), self.recipe.findings.index(boxes[0].finding)


def train(
    examples: Sequence[Example], recipe: Recipe, out: Path, progress: Callable[[int, float], None] | None = None
) -> ChestNetwork:
    """Train on `examples`, with checkpoints in `out`; returns the averaged network, ready to evaluate.

    `progress` receives the number of steps done and the loss, after each step.
    """
    torch.manual_seed(recipe.seed)
    pool = Pool(examples, recipe)
    network = ChestNetwork(len(recipe.findings))
    device = torch_device().name
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(network, multi_avg_fn=_moving_average(recipe.ema_decay), use_buffers=True)
    optimiser = _optimiser(network, recipe)
    checkpoint = out / "checkpoint.pt"
    first = _resume(checkpoint, network, average, optimiser, pool)
    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(pool.batch, first)
        for step in range(first, recipe.steps):
            if step in recipe.teaching_steps:
                coming.result()  # made with the old labels
                pool.soften(average.module.eval())  # type: ignore[arg-type]
                coming = ahead.submit(pool.batch, step)
            batch, coming = coming.result(), ahead.submit(pool.batch, step + 1)
            loss = _step(network, optimiser, batch, pool.positive_weight, recipe, step)
            average.update_parameters(network)
            if progress:
                progress(step + 1, loss)
            if (step + 1) % recipe.checkpoint_every == 0 or step + 1 == recipe.steps:
                _save(checkpoint, step + 1, network, average, optimiser, pool)
    averaged: ChestNetwork = average.module.eval().to("cpu")  # type: ignore[assignment]
    return averaged


def mixed(batch: Batch, parameter: float, seed: int) -> Batch:
    """The images without a box each mixed with another of them, their targets in the same shares.

    The loss is linear in a target, so it is what mixing the losses of both would give. Boxed images stay as they are:
    a box says nothing of where another image's finding is.
    """
    share = float(np.random.default_rng(seed).beta(parameter, parameter))
    free = torch.nonzero(batch.boxed < 0).flatten()
    images, targets, weights = batch.images.clone(), batch.targets.clone(), batch.weights.clone()
    both = share * weights[free] + (1 - share) * weights[free.flip(0)]
    known = targets * weights
    targets[free] = (share * known[free] + (1 - share) * known[free.flip(0)]) / both.clamp(min=1e-6)
    weights[free] = both
    images[free] = share * images[free] + (1 - share) * images[free.flip(0)]
    return replace(batch, images=images, targets=targets, weights=weights)


def _moving_average(decay: float) -> Callable[..., None]:
    average: Callable[..., None] = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return average


def size_at(recipe: Recipe, step: int) -> int:
    """Network size in px at a step: the sizes share each cycle equally."""
    within, cycle = recipe.position(step)
    return recipe.sizes[min(within * len(recipe.sizes) // cycle, len(recipe.sizes) - 1)]


def rate_at(recipe: Recipe, step: int) -> float:
    """Share of the full learning rate at a step: 4 % of the cycle to warm up, then a cosine down to 1 %."""
    within, cycle = recipe.position(step)
    warm_up = max(1, cycle // 25)
    if within < warm_up:
        return (within + 1) / warm_up
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (within - warm_up) / max(1, cycle - warm_up)))


def predict(
    network: ChestNetwork, pixels: Pixels | Sequence[NDArray[np.uint8]], size: int, *, mirrored: bool = True
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (N, K) and maps (N, K, h, w) of whole images at network size `size`.

    `mirrored`: as the mean with what the mirrored images give, which the shipped graph makes.
    """
    ask = partial(both_ways, network) if mirrored else network
    maps = []
    device = next(network.parameters()).device
    with torch.inference_mode():
        for start in range(0, len(pixels), 16):
            part = [pixels[index] for index in range(start, min(start + 16, len(pixels)))]
            images = torch.cat([resized(array, size) for array in part])
            maps.append(ask(images.to(device)).cpu().numpy())
    stacked = np.concatenate(maps)
    return stacked.mean((2, 3)), stacked


def resized(array: NDArray[np.uint8], size: int) -> Tensor:
    """One image as (1, 1, size, size), 0..1, averaged down as the shipped graph does."""
    image = torch.from_numpy(array.astype(np.float32) / 255.0)[None, None]
    return interpolate(image, (size, size), mode="bilinear", antialias=True, align_corners=False)


def _step(
    network: ChestNetwork,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    positive_weight: Tensor,
    recipe: Recipe,
    step: int,
) -> float:
    torch.manual_seed(recipe.seed + step)  # dropout
    network.train()
    network.freeze(recipe.frozen_blocks)
    for group in optimiser.param_groups:
        group["lr"] = group["full_lr"] * rate_at(recipe, step)
    device = next(network.parameters()).device
    maps = network(batch.images.to(device, memory_format=torch.channels_last)).float()
    loss = _label_loss(maps, batch, positive_weight) + recipe.box_weight * _box_loss(maps, batch)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
    optimiser.step()
    return float(loss.detach())


def _label_loss(maps: Tensor, batch: Batch, positive_weight: Tensor) -> Tensor:
    device = maps.device
    losses = binary_cross_entropy_with_logits(
        maps.mean((2, 3)), batch.targets.to(device), pos_weight=positive_weight.to(device), reduction="none"
    )
    return (losses * batch.weights.to(device)).sum(1).mean()


def _box_loss(maps: Tensor, batch: Batch) -> Tensor:
    """Cross entropy between the softmax over cells of the boxed finding's map and the evenly filled box."""
    boxed = (batch.boxed >= 0) & (batch.masks.sum((1, 2, 3)) > 0)
    if not bool(boxed.any()):
        return maps.sum() * 0.0
    rows = torch.nonzero(boxed).flatten()
    cells = maps[rows, batch.boxed[rows]].flatten(1)
    share = adaptive_avg_pool2d(batch.masks[rows].to(maps.device), (maps.shape[2], maps.shape[3])).flatten(1)
    share = share / share.sum(1, keepdim=True)
    return -(share * cells.log_softmax(1)).sum(1).sum() / len(batch.boxed)


def _positive_weights(values: NDArray[np.float32], weights: NDArray[np.float32]) -> Tensor:
    """Root of negatives to positives, at most 5: rare findings count more, yet probabilities stay calibratable."""
    positive, negative = (values * weights).sum(0), ((1 - values) * weights).sum(0)
    return torch.from_numpy(np.clip(np.sqrt(negative / np.maximum(positive, 1)), 1, 5).astype(np.float32))


def _draw_weight(example: Example) -> float:
    """How often an image is drawn: high resolution, radiologists' labels, boxes and rare findings more often."""
    weight = 2.0 if example.tier >= 512 else 1.0
    weight *= 1.8 if example.rsna_class else 1.0
    rare = ("cardiomegaly", "edema", "pneumothorax", "effusion")
    return weight * (1.6 if any(example.targets[name].value > 0.5 for name in rare) else 1.0)


def _optimiser(network: ChestNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    network.freeze(recipe.frozen_blocks)
    backbone = [p for p in network.backbone.parameters() if p.requires_grad]
    groups = [
        {"params": backbone, "full_lr": recipe.learning_rate},
        {"params": list(network.head.parameters()), "full_lr": recipe.head_learning_rate},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)


def _save(
    path: Path,
    step: int,
    network: ChestNetwork,
    average: AveragedModel,
    optimiser: torch.optim.Optimizer,
    pool: Pool,
) -> None:
    state = {
        "step": step,
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimiser": optimiser.state_dict(),
        "targets": (pool.values, pool.weights),
    }
    unfinished = path.with_suffix(".partial")
    torch.save(state, unfinished)
    unfinished.replace(path)


def _resume(
    path: Path, network: ChestNetwork, average: AveragedModel, optimiser: torch.optim.Optimizer, pool: Pool
) -> int:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return 0
    state = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict(state["network"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    pool.values, pool.weights = state["targets"]
    return int(state["step"])
