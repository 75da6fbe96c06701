"""Reads the full NIH ChestX-ray14 set as NIH gives it out, from a folder you point to.

    DIR/Data_Entry_2017*.csv   112,120 rows: labels, patient, age, sex, view
    DIR/BBox_List_2017.csv     984 boxes by NIH readers (may be missing)
    DIR/**/00000001_000.png    the images, in whatever folders they were unpacked to

Labels here are all mined from report text. The patients held out of the subset stay held out here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from core.errors import ConfigurationError
from datasets.chest.nih_chest import BOXED, Box, LabelledRadiograph, held_out_patients, rows_of, side_of, targets_of

ENTRIES = "Data_Entry_2017*.csv"
_BOXES = "BBox_List_2017.csv"
_SIZE = 1024  # rows and columns of every image of the set
_OLDEST = 120  # a few ages are typing errors, such as 411


def recognises(root: Path) -> bool:
    """Whether the folder holds the table of the full set."""
    return any(root.glob(ENTRIES))


def load(root: Path) -> tuple[LabelledRadiograph, ...]:
    """Every image of the table that is there; raises ConfigurationError when none is, or a column is missing."""
    table = min(root.glob(ENTRIES))
    paths = {path.name: path for path in root.rglob("*.png")}
    boxes = _boxes(rows_of(root / _BOXES)) if (root / _BOXES).exists() else {}
    try:
        examples = tuple(_examples(rows_of(table), paths, boxes))
    except KeyError as missing:
        raise ConfigurationError(f"{table.name} has no column {missing}: it is not NIH's own table.") from missing
    if not examples:
        raise ConfigurationError(f"None of the images that {table.name} names is in the folder: unpack them there.")
    return examples


def _examples(
    rows: Iterable[Mapping[str, str]], paths: Mapping[str, Path], boxes: Mapping[str, tuple[Box, ...]]
) -> Iterator[LabelledRadiograph]:
    held_out = held_out_patients()
    for row in rows:
        name, age = row["Image Index"], int(re.sub(r"\D", "", row["Patient Age"]) or _OLDEST + 1)
        if name not in paths or age > _OLDEST:
            continue
        patient = str(int(row["Patient ID"]))
        yield LabelledRadiograph(
            name=name,
            path=paths[name],
            tier=_SIZE,
            patient=patient,
            age_years=age,
            sex=row["Patient Gender"],
            view=row["View Position"],
            split=side_of(patient, held_out),
            rsna_class="",
            targets=targets_of(row["Finding Labels"], ""),
            boxes=boxes.get(name, ()),
        )


def _boxes(rows: Iterable[Mapping[str, str]]) -> dict[str, tuple[Box, ...]]:
    """By image name. NIH's header calls the four numbers `Bbox [x,y,w,h]`, which CSV readers take for four columns."""
    found: dict[str, tuple[Box, ...]] = {}
    for row in rows:
        values = list(row.values())
        left, top, width, height = (float(value) / _SIZE for value in values[2:6])
        finding = BOXED[values[1]]
        found[values[0]] = (*found.get(values[0], ()), Box(finding, left, top, width, height, "NIH"))
    return found
