"""docs/training.json: how a network was trained, what it was compared with, and which findings did not ship."""

from __future__ import annotations

from typing import ClassVar

from core.documents.model import Document, KeepsUnknownKeys, Number, absent
from core.statistics.estimate import Rounded


class Recipe(KeepsUnknownKeys):
    """The settings of a training run; another recipe may have others."""

    findings: tuple[str, ...] | None = absent()
    seed: int | None = absent()
    cycles: tuple[int, ...] | None = absent()  # steps of each
    batch: int | None = absent()
    sizes: tuple[int, ...] | None = absent()  # pixels
    learning_rate: Number | None = absent()
    head_learning_rate: Number | None = absent()
    weight_decay: Number | None = absent()
    frozen_blocks: int | None = absent()
    box_weight: Number | None = absent()
    ema_decay: Number | None = absent()
    mixup: Number | None = absent()
    self_teaching: Number | None = absent()
    self_teaching_weight: Number | None = absent()
    checkpoint_every: int | None = absent()
    network_size: int | None = absent()  # pixels


class SplitCounts(Document):
    """Patients and images on one side of the split; `images_by_tier`: by number of rows."""

    patients: int
    images: int
    images_by_tier: dict[str, int]


class Discrimination(Document):
    """How well a score tells patients with and without a finding apart."""

    positives: int
    negatives: int
    auroc: Rounded
    average_precision: float | None


class TrainingRecord(Document):
    """The whole of training.json."""

    noun: ClassVar[str] = "the record of a training"

    recipe: Recipe | None = absent()
    opset: int | None = absent()
    data: dict[str, SplitCounts] | None = absent()
    largest_differences_from_torch: dict[str, Number] | None = absent()
    differences_on_radiographs: dict[str, Number] | None = absent()
    floor: Number | None = absent()  # lower bound of the AUROC below which a finding does not ship
    shipped: tuple[str, ...] = ()
    held_out: dict[str, Discrimination] | None = absent()
