"""Which images the map gate is run on: held-out patients where there is a data set, else drawn ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigurationError
from core.geometry import FloatMap, SquareFrame, resized
from core.progress import Progress, silent
from datasets.chest import any_set
from datasets.chest.nih_chest import LabelledRadiograph
from datasets.demo.studies import demo_studies
from datasets.demo.synthesis import drawn_opacity, planted
from dicom_node.pixels.decode import decode
from explain.gate.nouns import GateCase, GateSet
from explain.gate.result import GateResult
from explain.gate.run import run
from explain.subject import WORKING_SIDE
from models.package.format import ModelPackage

HELD_OUT_IMAGES = 60
ADULT_YEARS = 18
_OPACITY = "lung_opacity"
_PLACES = ((0.24, 0.3), (0.76, 0.3), (0.24, 0.45), (0.76, 0.6), (0.26, 0.66))  # column, row: fractions, outer lung
WEAKER = (
    "Made without held-out patients, on the demo studies and opacities drawn into them: weaker than the gate on a data "
    "set, because a drawn opacity is easier to find than a real one and the few backgrounds resemble each other."
)


def gate(package: ModelPackage, data: Path | None = None, *, progress: Progress = silent) -> GateResult:
    """Put a package through the gate: on held-out validation patients of `data`, else on the demo studies.

    Raises ConfigurationError when `data` is no known set or holds no held-out adult.
    """
    side = side_of(package)
    return run(package, drawn_set(side) if data is None else held_out_set(any_set.load(data), side), progress=progress)


def side_of(package: ModelPackage) -> int:
    """The side of the square at which a model looks, as far as it says."""
    return package.network_size or WORKING_SIDE // 2


def held_out_set(examples: Sequence[LabelledRadiograph], side: int, count: int = HELD_OUT_IMAGES) -> GateSet:
    """Adults of the validation patients at the highest resolution there is, those with readers' boxes first."""
    held_out = [e for e in examples if e.split == "validation" and e.age_years >= ADULT_YEARS]
    if not held_out:
        raise ConfigurationError("the data holds no adult of the held-out validation patients")
    finest = max(example.tier for example in held_out)
    chosen = sorted((e for e in held_out if e.tier == finest), key=lambda e: (not e.boxes, e.name))[:count]
    boxed = sum(bool(example.boxes) for example in chosen)
    patients = len({example.patient for example in chosen})
    return GateSet(
        cases=[case_of(example, side) for example in chosen],
        images=f"{len(chosen)} images of {patients} held-out validation patients, {boxed} with readers' boxes",
    )


def case_of(example: LabelledRadiograph, side: int) -> GateCase:
    """A labelled radiograph with its readers' boxes, as the gate wants it."""
    boxes: dict[str, NDArray[np.bool_]] = {}
    for box in example.boxes:
        mask = boxes.setdefault(box.finding, np.zeros((side, side), np.bool_))
        rows = slice(round(box.top * side), max(1, round((box.top + box.height) * side)))
        mask[rows, round(box.left * side) : round((box.left + box.width) * side)] = True
    return GateCase(square=square_of(example, side), patient=example.patient, boxes=boxes)


def square_of(example: LabelledRadiograph, side: int) -> FloatMap:
    """The image as a model of that side sees it, float32 (side, side), 0..1."""
    pixels = example.read().astype(np.float32) / 255.0
    return resized(SquareFrame.of(*pixels.shape).to_square(pixels), side, side)


def drawn_set(side: int) -> GateSet:
    """The demo radiographs as they are, and each with an opacity drawn in several places: images of no patient."""
    cases = []
    for study in demo_studies():
        if study.status != "reported":
            continue
        image = decode(study.path.read_bytes())
        square = image.frame.to_square(image.pixels)
        cases.append(GateCase(square=resized(square, side, side), patient=study.path.stem))
        if study.region is not None:
            continue  # it has one already
        for number, (column, row) in enumerate(_PLACES):
            opacity = replace(drawn_opacity(), column=column, row=row, seed=number)
            box = opacity.box()
            mask = np.zeros(square.shape, np.float32)
            mask[box["top"] : box["top"] + box["height"], box["left"] : box["left"] + box["width"]] = 1.0
            cases.append(
                GateCase(
                    square=resized(planted(square.astype(np.float64), opacity).astype(np.float32), side, side),
                    patient=f"{study.path.stem} {number}",
                    boxes={_OPACITY: resized(mask, side, side) >= 0.5},
                )
            )
    return GateSet(cases=cases, images=f"{len(cases)} demo and drawn images of no patient", weaker=WEAKER)
