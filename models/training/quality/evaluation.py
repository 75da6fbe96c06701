"""How well the quality check does: what it refuses wrongly, and what it catches, on patients it never saw.

Faults are made on the test patients' 512 px images at their own resolution. The photographs of a screen come from
another simulation than the one trained with (the grid of a screen, sampled by a camera), and the pictures of other
things are real ones that were never trained on. Intervals are Wilson's, over images.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from core.geometry import FloatMap
from core.statistics.proportions import wilson
from models.documents.quality import Caught, CheckEvaluation, Control, Refusals
from models.evaluation import cohorts
from models.examples import Example, read_pixels
from models.quality import QualityModel
from models.training.quality import faults
from models.training.quality.screen import screen_photograph
from models.training.quality.train import ADULT_YEARS, ChildLike

TIERS = (512, 128)
_SPOILT_IMAGES = 60  # each is spoilt in some thirty ways
_NAMES = {"stranger": {"stranger", "unlike_features", "unlike_thumbnail"}}  # what is as good as the fault's own name
_CHILD_BANDS = ((0, 5), (6, 11), (12, 17))
Spoil = Callable[[Tensor, Generator], Tensor]


def evaluate(
    model: QualityModel,
    examples: Sequence[Example],
    children: Sequence[ChildLike],
    unrelated: Mapping[str, Sequence[FloatMap]],
) -> CheckEvaluation:
    """False refusals per tier and cohort, catch rate per fault and severity, controls, and what is not measured."""
    test = _one_each([e for e in adults(examples, "test") if e.tier == 512])
    rows = [*_spoilt(model, test), *_children(model, examples, children, test), *_unrelated(model, unrelated)]
    return CheckEvaluation(
        false_refusals={str(tier): _false_refusals(model, examples, tier) for tier in TIERS},
        caught=tuple(rows),
        controls=tuple(_controls(model, test, children)),
        not_measured=(
            "Lateral and oblique views: the data hold none. They are left to the header (view, orientation, series "
            "description) and to the check's distances, whose effect on them is unknown.",
            "Photographs of real screens and films: all were simulated.",
            "Adults of another hospital: all sound images here come from one.",
        ),
    )


def adults(examples: Iterable[Example], split: str) -> list[Example]:
    """The adults on one side of the split, at 128 px or more."""
    return [e for e in examples if e.split == split and e.age_years >= ADULT_YEARS and e.tier >= 128]


def sound_pixels(examples: Iterable[Example], split: str, tier: int) -> Iterator[FloatMap]:
    """Images of the adults of one side and tier, 0..1."""
    return (pixels_of(example) for example in adults(examples, split) if example.tier == tier)


def pixels_of(example: Example | ChildLike) -> FloatMap:
    """The stored image, float32 0..1, shape (rows, columns)."""
    return read_pixels(example.path).astype(np.float32) / 255.0


def scores_of(model: QualityModel, images: Iterable[FloatMap]) -> NDArray[np.float32]:
    """Scores (N, F) of images, in the check's order of faults."""
    return np.array([list(model.scores(image).values()) for image in images], np.float32)


def name_faults(model: QualityModel, images: Iterable[FloatMap]) -> list[str]:
    """The fault each image is refused for, "" for none."""
    found = [model.check.worst(model.scores(image)) for image in images]
    return [fault.name if fault else "" for fault in found]


def _one_each(examples: Sequence[Example]) -> list[Example]:
    """One image of each patient, of enough patients: images as independent as Wilson's interval takes them to be."""
    first: dict[str, Example] = {}
    for example in examples:
        first.setdefault(example.patient, example)
    return list(first.values())[:_SPOILT_IMAGES]


def _false_refusals(model: QualityModel, examples: Sequence[Example], tier: int) -> dict[str, Refusals]:
    members = [e for e in adults(examples, "test") if e.tier == tier]
    said = name_faults(model, (pixels_of(e) for e in members))
    table = {}
    for cohort, mine in cohorts(members):
        table[cohort] = _refusals([fault for fault, belongs in zip(said, mine, strict=True) if belongs])
    by_fault = {fault: said.count(fault) for fault in sorted(set(said) - {""})}
    return {**table, "all": table["all"].model_copy(update={"by_fault": by_fault})}


def _refusals(said: Sequence[str]) -> Refusals:
    refused = sum(fault != "" for fault in said)
    return Refusals(images=len(said), refused=refused, share=wilson(refused, len(said)).rounded())


def _row(model: QualityModel, fault: str, how: str, source: str, images: Iterable[FloatMap]) -> Caught:
    said = name_faults(model, images)
    caught, right = sum(name != "" for name in said), sum(name in _NAMES.get(fault, {fault}) for name in said)
    return Caught(
        fault=fault,
        how=how,
        source=source,
        images=len(said),
        caught=wilson(caught, len(said)).rounded(),
        named=wilson(right, len(said)).rounded(),
    )


def _spoilt(model: QualityModel, test: Sequence[Example]) -> Iterator[Caught]:
    for fault, how, make in _SPOILERS:
        yield _row(model, fault, how, "test adults, 512 px, one image each", _made(test, make))


def _made(members: Sequence[Example], make: Spoil) -> Iterator[FloatMap]:
    for number, example in enumerate(members):
        image = torch.from_numpy(pixels_of(example))[None, None]
        yield make(image, np.random.default_rng([7, number])).clamp(0, 1)[0, 0].numpy()


def _turned(degrees: float, *, mirrored: bool = False) -> Spoil:
    matrix = faults.placed(degrees=degrees, zoom=(1.0, 1.0), mirrored=mirrored)
    return lambda image, random: faults.warped(image, matrix, image.shape[-1], "zeros")


def _cut(columns: float, rows: float, across: float = 0.0, down: float = 0.0) -> Spoil:
    """The part of the field that is left, and where it is: -1 left or top .. 1 right or bottom."""

    def make(image: Tensor, random: Generator) -> Tensor:
        height, width = round(image.shape[-2] * rows), round(image.shape[-1] * columns)
        top = round((image.shape[-2] - height) * (down + 1) / 2)
        left = round((image.shape[-1] - width) * (across + 1) / 2)
        return image[..., top : top + height, left : left + width]

    return make


def _noisy(spread: float, contrast: float) -> Spoil:
    def make(image: Tensor, random: Generator) -> Tensor:
        noise = torch.from_numpy(random.standard_normal(tuple(image.shape), np.float32))
        return (image - 0.5) * contrast + 0.5 + spread * noise

    return make


_SPOILERS: tuple[tuple[str, str, Spoil], ...] = (
    *(("rotated", f"by {degrees} degrees", _turned(degrees)) for degrees in (90, 180, 270)),
    ("rotated", "upside down, in the mirror", _turned(180, mirrored=True)),
    *(("rotated", f"tilted by {degrees} degrees", _turned(degrees)) for degrees in (20, 30, 45, 60)),
    ("inverted", "all greys", lambda image, random: 1 - image),
    ("inverted", "and rotated by 90 degrees", lambda image, random: 1 - torch.rot90(image, 1, (-2, -1))),
    *(("cropped", f"middle, {round(100 * side)} % of each side", _cut(side, side)) for side in (0.7, 0.5, 0.4, 0.3)),
    ("cropped", "left half", _cut(0.5, 1.0, across=-1)),
    ("cropped", "right half", _cut(0.5, 1.0, across=1)),
    ("cropped", "upper half", _cut(1.0, 0.5, down=-1)),
    ("cropped", "lower half", _cut(1.0, 0.5, down=1)),
    ("screen", "fills the photograph", lambda image, random: screen_photograph(image, random, surround=False)),
    ("screen", "with its frame", lambda image, random: screen_photograph(image, random, surround=True)),
    ("exposure", "burnt out: all above the darkest 20 % white", lambda image, random: image / _level(image, 0.2)),
    ("exposure", "black: only the brightest 15 % left", lambda image, random: image - _level(image, 0.85)),
    ("exposure", "flat: a tenth of the contrast", lambda image, random: image * 0.1 + 0.45),
    ("exposure", "flat: a twentieth of the contrast", lambda image, random: image * 0.05 + 0.3),
    ("exposure", "blank", lambda image, random: torch.full_like(image, random.random())),
    ("exposure", "noise above a fifth of the contrast", _noisy(0.5, 0.2)),
)


def _level(image: Tensor, share: float) -> Tensor:
    return torch.quantile(image.flatten(), share).clamp(min=0.02)


def _children(
    model: QualityModel, examples: Sequence[Example], children: Sequence[ChildLike], test: Sequence[Example]
) -> Iterator[Caught]:
    unseen = [child for child in children if child.split == "test"]
    yield _row(model, "child", "1 to 5 years, as sent", "another hospital, test", (pixels_of(c) for c in unseen))
    exchanged = (_greys_of(pixels_of(c), pixels_of(test[n % len(test)])) for n, c in enumerate(unseen))
    yield _row(model, "child", "1 to 5 years, with greys of an adult's image", "another hospital, test", exchanged)
    for low, high in _CHILD_BANDS:
        same = [e for e in examples if e.split != "train" and e.tier >= 128 and low <= e.age_years <= high]
        words = f"{low} to {high} years"
        yield _row(model, "child", words, "the adults' hospital, held out", (pixels_of(e) for e in same))


def _unrelated(model: QualityModel, unrelated: Mapping[str, Sequence[FloatMap]]) -> Iterator[Caught]:
    for kind, images in unrelated.items():
        yield _row(model, "stranger", kind, "never trained on", images)


def _controls(model: QualityModel, test: Sequence[Example], children: Sequence[ChildLike]) -> list[Control]:
    """Adults brought through the children's pipeline: if it were the source that is seen, these would be children."""
    unseen = [child for child in children if child.split == "test"]
    if not unseen:
        return []
    through = (_as_children_come(pixels_of(e), pixels_of(unseen[n % len(unseen)])) for n, e in enumerate(test))
    said = name_faults(model, through)
    plain = name_faults(model, (pixels_of(e) for e in test))
    count = sum(name == "child" for name in said)
    before = sum(name == "child" for name in plain)
    return [
        Control(
            control="adults with shape, greys and compression of a child's image",
            images=len(test),
            called_child=wilson(count, len(test)).rounded(),
            called_child_as_sent=wilson(before, len(test)).rounded(),
            refused=wilson(sum(name != "" for name in said), len(test)).rounded(),
        )
    ]


def _as_children_come(adult: FloatMap, child: FloatMap) -> FloatMap:
    picture = PillowImage.fromarray(np.round(_greys_of(adult, child) * 255).astype(np.uint8))
    picture = picture.resize((child.shape[1], child.shape[0]), PillowImage.Resampling.BICUBIC)
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=90)
    return np.asarray(PillowImage.open(stream), np.float32) / 255.0


def _greys_of(pixels: FloatMap, reference: FloatMap) -> FloatMap:
    image, greys = (torch.from_numpy(a)[None, None] for a in (pixels, reference))
    exchanged: FloatMap = faults.with_greys_of(image, greys)[0, 0].numpy()
    return exchanged
