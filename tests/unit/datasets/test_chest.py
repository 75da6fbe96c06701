"""Each known set is recognised by its files, keeps held-out patients held out, and says what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from core.errors import ConfigurationError
from datasets.chest import any_set, nih_chest
from datasets.dx import MadeUpPatient, wrap_as_dx

HELD_OUT, SIDE = next(iter(nih_chest.frozen_split().items()))
OTHER = "00030805_000.png"
ENTRIES = """Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position
{held_out},Effusion|Mass,0,{patient},058Y,M,PA
00030805_000.png,No Finding,0,30805,27,F,AP
00030805_001.png,No Finding,1,30805,411,F,AP
00030806_000.png,No Finding,0,30806,30,F,AP
"""
BOXES = """Image Index,Finding Label,Bbox [x,y,w,h],,,
{held_out},Effusion,256.0,512.0,128.0,64.0,,,
"""


@pytest.fixture
def full(tmp_path: Path) -> Path:
    """NIH's own folder layout; one image of the table was not unpacked."""
    words = {"held_out": HELD_OUT, "patient": int(HELD_OUT[:8])}
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text(ENTRIES.format(**words))
    (tmp_path / "BBox_List_2017.csv").write_text(BOXES.format(**words))
    (tmp_path / "images_001" / "images").mkdir(parents=True)
    for name in (HELD_OUT, OTHER, "00030805_001.png"):
        PillowImage.fromarray(np.full((8, 8), 77, np.uint8)).save(tmp_path / "images_001" / "images" / name)
    return tmp_path


def test_the_full_nih_set_is_read_as_nih_gives_it_out(full: Path) -> None:
    held_out, other = any_set.load(full)  # the age of 411 and the missing image are left out
    assert (held_out.name, held_out.age_years, held_out.sex, held_out.view) == (HELD_OUT, 58, "M", "PA")
    assert held_out.split == SIDE
    assert other.split == nih_chest.split_of("30805", in_largest_tier=False)
    assert held_out.targets["effusion"].value == held_out.targets["nodule_or_mass"].value == 1
    assert held_out.targets["any_abnormality"].source == "text-mined"
    (box,) = held_out.boxes
    assert (box.finding, box.left, box.top, box.width, box.height) == ("effusion", 0.25, 0.5, 0.125, 0.0625)
    assert int(held_out.read()[0, 0]) == 77


def test_a_table_without_images_or_columns_says_so(full: Path) -> None:
    for path in full.rglob("*.png"):
        path.unlink()
    with pytest.raises(ConfigurationError, match="unpack them there"):
        any_set.load(full)
    (full / "Data_Entry_2017_v2020.csv").write_text("Image,Labels\nx.png,Mass\n")
    with pytest.raises(ConfigurationError, match="has no column 'Image Index'"):
        any_set.load(full)


@pytest.fixture
def rsna(tmp_path: Path) -> Path:
    """RSNA's own folder layout with two images."""
    classes = ["patientId,class", "aaa,Lung Opacity", "bbb,Normal"]
    boxes = ["patientId,x,y,width,height,Target", "aaa,512,256,128,64,1", "bbb,,,,,0"]
    (tmp_path / "stage_2_detailed_class_info.csv").write_text("\n".join(classes) + "\n")
    (tmp_path / "stage_2_train_labels.csv").write_text("\n".join(boxes) + "\n")
    mapping = [{"subset_img_id": "aaa", "img_id": HELD_OUT}, {"subset_img_id": "bbb", "img_id": OTHER}]
    (tmp_path / "pneumonia-challenge-dataset-mappings_2018.json").write_text(json.dumps(mapping))
    (tmp_path / "stage_2_train_images").mkdir()
    for key in ("aaa", "bbb"):
        patient = MadeUpPatient(patient_id=key, patient_name="X", patient_sex="F", patient_age_years=43)
        made = wrap_as_dx(np.full((512, 512), 9, np.uint8), name=key, patient=patient)
        made.save_as(tmp_path / "stage_2_train_images" / f"{key}.dcm", enforce_file_format=True)
    return tmp_path


def test_the_rsna_set_is_read_with_the_patients_of_nih(rsna: Path) -> None:
    opacity, normal = any_set.load(rsna)
    assert (opacity.name, opacity.split, opacity.age_years, opacity.tier) == (HELD_OUT, SIDE, 43, 512)
    assert opacity.targets["lung_opacity"] == nih_chest.Target(1.0, 1.0, "radiologists")
    assert normal.targets["any_abnormality"] == nih_chest.Target(0.0, 1.0, "radiologists")
    assert normal.targets["effusion"].weight == 0, "no reader mentions effusion"
    assert opacity.boxes[0].left == 0.5
    assert opacity.read().shape == (512, 512)


def test_rsna_without_its_mapping_could_leak_a_patient_and_is_refused(rsna: Path) -> None:
    (rsna / "pneumonia-challenge-dataset-mappings_2018.json").unlink()
    with pytest.raises(ConfigurationError, match="which patients belong to the test set"):
        any_set.load(rsna)


def test_a_folder_of_nothing_known_names_what_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"labels\.csv"):
        any_set.load(tmp_path)
