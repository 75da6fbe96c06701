"""The split cannot leak a patient, and labels mean what their source said."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from core.errors import ConfigurationError, IntegrityError
from datasets.chest import nih_chest
from datasets.chest.nih_chest import LabelledRadiograph, load, split_of, targets_of

NIH = Path(__file__).parents[4] / "shared" / "data" / "nih_chest"


@pytest.fixture(scope="module")
def examples() -> tuple[LabelledRadiograph, ...]:
    if not NIH.exists():
        pytest.skip("the NIH set is not at ../shared/data/nih_chest")
    return load(NIH)


def test_no_patient_is_on_two_sides_of_the_split(examples: tuple[LabelledRadiograph, ...]) -> None:
    sides: dict[str, set[str]] = {}
    for example in examples:
        sides.setdefault(example.patient, set()).add(example.split)
    assert all(len(side) == 1 for side in sides.values())
    assert {side for found in sides.values() for side in found} == {"train", "validation", "test"}


def test_the_frozen_file_holds_exactly_the_held_out_names(examples: tuple[LabelledRadiograph, ...]) -> None:
    assert nih_chest.frozen_split() == {e.name: e.split for e in examples if e.split != "train"}


def test_a_set_whose_split_is_not_the_frozen_one_is_refused(
    examples: tuple[LabelledRadiograph, ...], tmp_path: Path
) -> None:
    held_out = next(e for e in examples if e.split == "test" and e.tier == 128)
    other = next(e for e in examples if e.split == "train" and e.tier == 128)
    with (NIH / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["image"] == held_out.name:
            row["patient_id"] = other.patient
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    shutil.copy(NIH / "boxes.csv", tmp_path)
    with pytest.raises(IntegrityError, match="split"):
        load(tmp_path)


def test_a_folder_without_the_set_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"labels\.csv"):
        load(tmp_path)


def test_the_side_of_a_patient_does_not_depend_on_leading_zeros() -> None:
    assert split_of("00000032", in_largest_tier=True) == split_of("32", in_largest_tier=True)


def test_radiologists_are_believed_before_text() -> None:
    targets = targets_of("Infiltration", "Normal")
    assert (targets["any_abnormality"].value, targets["any_abnormality"].source) == (0.0, "radiologists")
    assert (targets["lung_opacity"].value, targets["lung_opacity"].weight) == (0.0, 1.0)
    assert targets["infiltration"].value == 1.0


def test_what_no_reader_mentions_is_unknown_not_negative() -> None:
    opacity = targets_of("Cardiomegaly", "")["lung_opacity"]
    assert (opacity.weight, opacity.source) == (0.0, "unknown")
    assert targets_of("No Finding", "")["lung_opacity"].weight > 0
    assert targets_of("Mass|Effusion", "")["nodule_or_mass"].value == 1.0


def test_boxes_lie_inside_their_images(examples: tuple[LabelledRadiograph, ...]) -> None:
    boxes = [box for example in examples for box in example.boxes]
    assert len(boxes) == 1223
    assert all(box.left >= 0 and box.top >= 0 and box.left + box.width <= 1.001 for box in boxes)
    assert {box.finding for box in boxes} <= set(nih_chest.FINDINGS)


def test_identity_does_not_print(examples: tuple[LabelledRadiograph, ...]) -> None:
    assert "patient=" not in repr(examples[0])
