"""Reads the RSNA Pneumonia Detection Challenge 2018 as it is given out, from a folder you point to.

    DIR/stage_2_detailed_class_info.csv                  the radiologists' class of each image
    DIR/stage_2_train_labels.csv                         their boxes
    DIR/stage_2_train_images/ID.dcm                      the images
    DIR/pneumonia-challenge-dataset-mappings_2018.json   which NIH image each one is

The images are NIH's under other names. Without RSNA's mapping file a patient who is held out could end up in training
unseen, so it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import pydicom

from core.errors import ConfigurationError
from datasets.chest.nih_chest import (
    Box,
    LabelledRadiograph,
    Split,
    Target,
    held_out_patients,
    rows_of,
    side_of,
    targets_of,
)

_CLASSES, _BOXES = "stage_2_detailed_class_info.csv", "stage_2_train_labels.csv"
_MAPPING = "pneumonia-challenge-dataset-mappings_2018.json"


def recognises(root: Path) -> bool:
    """Whether the folder holds the table of classes."""
    return (root / _CLASSES).exists()


def load(root: Path) -> tuple[LabelledRadiograph, ...]:
    """Every image with a class; raises ConfigurationError when a file of the set is missing."""
    names = _names(root / _MAPPING)
    boxes = _boxes(rows_of(root / _BOXES))
    classes = {row["patientId"]: row["class"] for row in rows_of(root / _CLASSES)}
    held_out = held_out_patients()
    examples = tuple(
        _example(root / "stage_2_train_images" / f"{key}.dcm", names[key], said, boxes.get(key, ()), held_out)
        for key, said in classes.items()
        if key in names
    )
    if not examples:
        raise ConfigurationError(f"{_MAPPING} names none of the images of {_CLASSES}.")
    return examples


def _example(
    path: Path, name: str, rsna_class: str, boxes: tuple[Box, ...], held_out: Mapping[str, Split]
) -> LabelledRadiograph:
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
    except OSError as error:
        raise ConfigurationError(
            f"stage_2_train_images/{path.name} cannot be read: unpack the images there."
        ) from error
    patient = str(int(name[:8]))
    return LabelledRadiograph(
        name=name,
        path=path,
        tier=int(header.Rows),
        patient=patient,
        age_years=int(str(header.PatientAge).rstrip("Yy") or 0),
        sex=header.PatientSex,
        view=header.ViewPosition,
        split=side_of(patient, held_out),
        rsna_class=rsna_class,
        targets=_targets(rsna_class),
        boxes=boxes,
        source="RSNA 2018",
    )


def _targets(rsna_class: str) -> dict[str, Target]:
    """The radiologists spoke of opacity and of abnormality; of everything else nothing is known."""
    return {
        name: target if target.source == "radiologists" else Target(0.0, 0.0, "unknown")
        for name, target in targets_of("", rsna_class).items()
    }


def _names(path: Path) -> dict[str, str]:
    """NIH's image name by RSNA's identifier."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(
            f"{path.name} is not in the folder: RSNA publishes it with the images, and it shows which patients "
            "belong to the test set; put it into the folder."
        ) from error
    return {row["subset_img_id"]: row["img_id"] for row in rows}


def _boxes(rows: Iterable[Mapping[str, str]]) -> dict[str, tuple[Box, ...]]:
    found: dict[str, tuple[Box, ...]] = {}
    for row in rows:
        if row["Target"] == "1":
            left, top, width, height = (float(row[key]) / 1024 for key in ("x", "y", "width", "height"))
            box = Box("lung_opacity", left, top, width, height, "RSNA 2018")
            found[row["patientId"]] = (*found.get(row["patientId"], ()), box)
    return found
