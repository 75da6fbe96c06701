"""A set in the format of the NIH subset: noise, with a bright square for the opacity; no real patient's images."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

COLUMNS = "image file tier patient_id age sex view finding_labels rsna_class pixel_spacing_mm source".split()
SIZE = 512


FINDINGS = ("Effusion|Infiltration", "No Finding", "Cardiomegaly|Edema")


def make_training_set(folder: Path, patients: int = 60, findings: tuple[str, str, str] = FINDINGS) -> Path:
    """Write labels.csv, boxes.csv and a 512 px image per patient; a third of the patients have an opacity.

    `findings`: text-mined labels of the three kinds of patients, those with the opacity first.
    """
    random = np.random.default_rng(7)
    (folder / "images_512").mkdir(parents=True)
    rows, boxes = [], []
    for number in range(90001, 90001 + patients):
        name = f"{number:08d}_000.png"
        kind = number % 3
        pixels = random.integers(40, 120, (SIZE, SIZE), np.uint8)
        if kind == 0:
            left, top = (int(random.integers(60, 300)) for _ in range(2))
            pixels[top : top + 140, left : left + 140] = 230
            boxes.append([name, left * 2, top * 2, 280, 280, "Lung Opacity", "made up"])
        PillowImage.fromarray(pixels).save(folder / "images_512" / name)
        labels = findings[kind]
        said = ("Lung Opacity", "Normal", "No Lung Opacity / Not Normal")[kind]
        sex, view, age = "FM"[number % 2], ("PA", "AP")[number // 2 % 2], 20 + number % 65
        rows.append([name, f"images_512/{name}", SIZE, number, age, sex, view, labels, said, "", "made up"])
    _write(folder / "labels.csv", COLUMNS, rows)
    _write(folder / "boxes.csv", "image x y width height finding reader".split(), boxes)
    return folder


def _write(path: Path, columns: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
