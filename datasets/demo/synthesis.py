"""Makes the demo studies: `python -m datasets.demo.synthesis --data DIR` writes `datasets/demo/dicom/`.

A demo radiograph must look like a radiograph to the model and show no real patient. So each is the trimmed mean of at
least 24 training images without opacity, brought into register first, sharpened, and given procedural grain; ribs,
vessels and marks of any one person average out. The opacity is drawn: a cloud of noise with a soft edge. The hand is
drawn from nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless, RLELossless

from datasets.chest import nih_chest
from datasets.chest.nih_chest import LabelledRadiograph
from datasets.demo.alignment import SIZE, Picture, smoothed, trimmed_mean_in_register
from datasets.demo.studies import FOLDER, PROMISES
from datasets.dx import MadeUpPatient, wrap_as_dx
from models.package.format import load_package
from models.registry import ZOO
from models.runtimes.onnx import OnnxModel

LEAST_IMAGES = 24
DRAWING = Path(__file__).with_name("opacity.json")
_FINDING = "lung_opacity"
_BEDSIDE_SEED = 21


@dataclass(frozen=True, slots=True)
class Opacity:
    """A drawn opacity. Centre, radii and softness of the edge in fractions of the image; `cover` 0..1 how much of the
    lung it hides, `brightness` 0..1 what it looks like itself, `lumps` how uneven it is, of `cells` per image width.
    """

    column: float
    row: float
    width: float
    height: float
    softness: float
    cover: float
    brightness: float
    lumps: float
    cells: tuple[int, ...]
    seed: int

    def box(self) -> dict[str, int]:
        """The rectangle that holds it, in pixels of the 512 px image."""
        return {
            "left": round((self.column - self.width) * SIZE),
            "top": round((self.row - self.height) * SIZE),
            "width": round(2 * self.width * SIZE),
            "height": round(2 * self.height * SIZE),
        }


def drawn_opacity() -> Opacity:
    """The drawing of the demo, as the last search left it."""
    values = json.loads(DRAWING.read_text(encoding="utf-8"))
    return Opacity(**values | {"cells": tuple(values["cells"])})


def search(data: Path, tries: int) -> Opacity:
    """Of `tries` random drawings the one that the shipped model is surest of, its map's peak inside.

    The demo shows that a finding comes through; it does not measure anything.
    Raises ValueError when none comes through.
    """
    model = OnnxModel.load(load_package(ZOO / "chest_radiograph"), threads=2)
    column = [finding.name for finding in model.package.model.findings].index(_FINDING)
    bedside = _blend_of(_bedside(_adults(data)), seed=_BEDSIDE_SEED)
    best, drawing = -math.inf, None
    for seed in range(tries):
        opacity = _random_opacity(seed)
        shown = (np.round(planted(bedside, opacity) * 255) / 255).astype(np.float32)
        logits, maps = model.predict(shown[None, None])
        if maps is not None and logits[0, column] > best and _points_inside(maps[0, column], opacity):
            best, drawing = float(logits[0, column]), opacity
    if drawing is None:
        raise ValueError(f"the model points into none of {tries} drawings: try more")
    return drawing


def _points_inside(map_: NDArray[np.float32], opacity: Opacity) -> bool:
    enlarged = PillowImage.fromarray(map_).resize((SIZE, SIZE), PillowImage.Resampling.BILINEAR)
    row, column = divmod(int(np.asarray(enlarged).argmax()), SIZE)
    box = opacity.box()
    return 0 <= column - box["left"] < box["width"] and 0 <= row - box["top"] < box["height"]


def _random_opacity(seed: int) -> Opacity:
    """A drawing in one of the lungs."""
    draw = np.random.default_rng(seed).uniform
    side = 1 if draw() < 0.5 else -1
    return Opacity(
        column=round(0.5 + side * draw(0.17, 0.24), 3),
        row=round(draw(0.4, 0.62), 3),
        width=round(draw(0.08, 0.18), 3),
        height=round(draw(0.1, 0.24), 3),
        softness=round(draw(0.08, 0.25), 3),
        cover=round(draw(0.4, 0.75), 3),
        brightness=round(draw(0.75, 0.95), 3),
        lumps=round(draw(0.1, 0.55), 3),
        cells=(16, 32, 64, 128),
        seed=seed,
    )


def blend(pixels: Sequence[NDArray[np.uint8]], *, seed: int) -> Picture:
    """The mean of registered images (each rows = columns), 0..1, shape (512, 512), with grain; at least 24 images."""
    if len(pixels) < LEAST_IMAGES:
        raise ValueError(f"a blend of {len(pixels)} images could show one person; {LEAST_IMAGES} are the least")
    mean = _without_marks(trimmed_mean_in_register(pixels))
    sharp = mean + 1.2 * (mean - smoothed(mean, 9)) + 0.5 * (mean - smoothed(mean, 33))
    return _shown(sharp + _grain(seed))


def planted(picture: Picture, opacity: Opacity) -> Picture:
    """`picture` with the opacity drawn in: an uneven cloud under an ellipse with a soft edge."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    distance = np.hypot((columns - opacity.column) / opacity.width, (rows - opacity.row) / opacity.height)
    envelope = 1 / (1 + np.exp((distance - 0.75) / opacity.softness))
    cloud = np.clip(1 + opacity.lumps * _noise(opacity.seed, opacity.cells), 0.3, 1.5)
    hidden = np.clip(opacity.cover * envelope * cloud, 0, 0.97)
    return _shown(picture * (1 - hidden) + opacity.brightness * hidden)


def drawn_hand(*, seed: int) -> Picture:
    """A hand in outline: palm and five fingers as soft capsules, bones brighter; no real patient's."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    picture = np.zeros((SIZE, SIZE))
    fingers = [(0.30, 0.22), (0.42, 0.12), (0.54, 0.10), (0.66, 0.16), (0.84, 0.42)]
    for tip_column, tip_row in fingers:
        for width, brightness in ((0.045, 0.35), (0.02, 0.6)):
            away = _distance_to_segment(columns, rows, (tip_column, tip_row), (0.5, 0.72))
            picture = np.maximum(picture, brightness / (1 + np.exp((away - width) / 0.004)))
    palm = np.hypot((columns - 0.5) / 0.2, (rows - 0.72) / 0.2)
    picture = np.maximum(picture, 0.45 / (1 + np.exp((palm - 1) / 0.03)))
    return _shown(picture + 0.05 + _grain(seed))


def make_demo_studies(data: Path, out: Path) -> None:
    """Make all demo studies and the file of what the shipped model must say of each; `data` holds the NIH set."""
    out.mkdir(parents=True, exist_ok=True)
    promises = [_write(out, *study) for study in _studies(_adults(data))]
    (out / PROMISES).write_text(json.dumps(promises, indent=1) + "\n", encoding="utf-8")


def _adults(data: Path) -> list[LabelledRadiograph]:
    return [example for example in nih_chest.load(data) if _usable(example)]


def _bedside(adults: Sequence[LabelledRadiograph]) -> list[LabelledRadiograph]:
    """Bedside images that are not normal, yet without opacity: where an opacity would be seen."""
    return [example for example in adults if example.view == "AP" and example.rsna_class != "Normal"]


def _usable(example: LabelledRadiograph) -> bool:
    """Training images of adults at the highest resolution, free of opacity by a radiologist's word."""
    without_opacity = example.rsna_class not in {"", "Lung Opacity"}
    return example.split == "train" and example.tier == SIZE and example.age_years >= 18 and without_opacity


def _studies(adults: Sequence[LabelledRadiograph]) -> list[tuple[str, Dataset, dict[str, Any]]]:
    """Name, object and promise of each study."""
    normal = [e for e in adults if e.view == "PA" and e.rsna_class == "Normal"]
    women = _blend_of([e for e in normal if e.sex == "F"], seed=11)
    men = _blend_of([e for e in normal if e.sex == "M"], seed=12)
    bedside, opacity = _blend_of(_bedside(adults), seed=_BEDSIDE_SEED), drawn_opacity()
    below = {"status": "reported", "negative": [_FINDING]}
    region = {"finding": _FINDING, **opacity.box()}
    above = {"status": "reported", "positive": [_FINDING], "region": region}
    return [
        ("normal", _object(women, "normal", "Demo^Normal", "F", 45), below),
        ("opacity", _object(planted(bedside, opacity), "opacity", "Demo^Opacity", "M", 61, view="AP"), above),
        ("normal-monochrome1", _object(men, "normal-monochrome1", "Demo^Inverse", "M", 52, inverse=True), below),
        ("child", _object(women, "child", "Demo^Child", "F", 9), {"status": "not_analysed"}),
        ("hand", _hand(), {"status": "refused"}),
    ]


def _blend_of(examples: Sequence[LabelledRadiograph], seed: int) -> Picture:
    pixels = [np.asarray(PillowImage.open(example.path).convert("L")) for example in examples]
    return blend(pixels, seed=seed)


def _object(
    picture: Picture, name: str, patient_name: str, sex: str, age: int, *, view: str = "PA", inverse: bool = False
) -> Dataset:
    patient = MadeUpPatient(
        patient_id=f"DEMO-{name.upper()}", patient_name=patient_name, patient_sex=sex, patient_age_years=age
    )
    return wrap_as_dx(
        np.round(picture * 255).astype(np.uint8),
        name=f"candor demo 1 {name}",
        patient=patient,
        view_position=view,
        photometric_interpretation="MONOCHROME1" if inverse else "MONOCHROME2",
        accession_number=f"DEMO{age:04d}",
    )


def _hand() -> Dataset:
    patient = MadeUpPatient(patient_id="DEMO-HAND", patient_name="Demo^Hand", patient_sex="F", patient_age_years=38)
    pixels = np.round(drawn_hand(seed=14) * 4095).astype(np.uint16)
    return wrap_as_dx(
        pixels, name="candor demo 1 hand", patient=patient, body_part_examined="HAND", bits_stored=12, spacing_mm=0.4
    )


def _write(out: Path, name: str, dataset: Dataset, promise: dict[str, Any]) -> dict[str, Any]:
    dataset.compress(RLELossless if dataset.BitsAllocated == 16 else JPEGLSLossless, generate_instance_uid=False)
    dataset.save_as(out / f"{name}.dcm", enforce_file_format=True)
    return {"file": f"{name}.dcm", "study_instance_uid": str(dataset.StudyInstanceUID), **promise}


def _shown(values: Picture) -> Picture:
    clipped: Picture = np.clip(values, 0, 1)
    return clipped


def _without_marks(picture: Picture) -> Picture:
    """`picture` with its upper corners washed out: laterality marks and burned-in text leave traces there."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    outwards = np.maximum(np.abs(columns - 0.5) - 0.3, 0) * np.maximum(0.24 - rows, 0)
    share = _shown(outwards / 0.006)
    return picture * (1 - share) + smoothed(picture, 41) * share


def _grain(seed: int) -> Picture:
    return 0.010 * _noise(seed, (64, 128, 256))


def _noise(seed: int, cells: Sequence[int]) -> Picture:
    """Smooth noise with about unit spread: a sum of random fields of `cells` x `cells` points, brought to 512 px."""
    random = np.random.default_rng(seed)
    total = np.zeros((SIZE, SIZE))
    for count in cells:
        field = PillowImage.fromarray(random.standard_normal((count, count)).astype(np.float32))
        total += np.asarray(field.resize((SIZE, SIZE), PillowImage.Resampling.BICUBIC), np.float64)
    return total / max(float(total.std()), 1e-6)


def _distance_to_segment(columns: Picture, rows: Picture, a: tuple[float, float], b: tuple[float, float]) -> Picture:
    along = np.array(b) - np.array(a)
    share = ((columns - a[0]) * along[0] + (rows - a[1]) * along[1]) / float(along @ along)
    share = _shown(share)
    distance: Picture = np.hypot(columns - a[0] - share * along[0], rows - a[1] - share * along[1])
    return distance


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the demo studies.")
    parser.add_argument("--data", type=Path, required=True, help="folder of the NIH set")
    parser.add_argument("--out", type=Path, default=FOLDER, help="where the studies are written")
    parser.add_argument("--search", type=int, default=0, help="first draw so many opacities and keep the surest")
    arguments = parser.parse_args()
    if arguments.search:
        found = dataclasses.asdict(search(arguments.data, arguments.search))
        DRAWING.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    make_demo_studies(arguments.data, arguments.out)
