"""Reads the radiographs of children that the quality check is trained and tested with.

150 chest radiographs of children aged one to five from Guangzhou (Kermany, Zhang, Goldbaum 2018,
doi:10.17632/rscbjbr9sj.2, CC BY 4.0). They lie outside every adult model's intended use. Split by patient.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from core.errors import ConfigurationError

ATTRIBUTION = (
    "Radiographs of children: Kermany D, Zhang K, Goldbaum M. Labeled Optical Coherence Tomography (OCT) and Chest "
    "X-Ray Images for Classification, Mendeley Data, version 2, 2018, doi:10.17632/rscbjbr9sj.2, CC BY 4.0."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRadiograph:
    """One frontal chest radiograph of a child."""

    name: str
    path: Path
    patient: str = field(repr=False)
    split: Literal["train", "validation", "test"]


def load(root: Path) -> tuple[ChildRadiograph, ...]:
    """Read labels.csv under `root`; raises ConfigurationError where the folder is not such a set."""
    try:
        with (root / "labels.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise ConfigurationError("labels.csv of the children cannot be read: point --data to its parent.") from error
    return tuple(
        ChildRadiograph(
            name=row["image"],
            path=root / row["image"],
            patient=row["patient_group"],
            split=split_of(row["patient_group"]),
        )
        for row in rows
    )


def split_of(patient: str) -> Literal["train", "validation", "test"]:
    """Side of the split for a patient: half to train, three in twenty to validate, the rest to test."""
    digest = hashlib.sha256(f"candor children split 1:{patient}".encode()).hexdigest()
    position = int(digest[:8], 16) / 2**32
    if position < 0.5:
        return "train"
    return "validation" if position < 0.65 else "test"
