"""Images of one's own: a CSV or folders, checked line by line before an image is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from core.errors import ConfigurationError, InvalidStudy
from datasets.chest import any_set
from datasets.pictures import read_8_bits, read_picture, wrap_picture
from dicom_node.header.read import read_header
from dicom_node.header.values import Values
from dicom_node.pixels.decode import decode
from models.evaluation import AGE_NOT_GIVEN


def picture(path: Path, value: int = 100, mode: str = "L") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = np.uint16 if mode == "I;16" else np.uint8
    PillowImage.fromarray(np.full((40, 50), value, kind)).save(path)
    return path


def listed(folder: Path, *lines: str, header: str = "file,truth_mass,truth_effusion,patient_id,age,sex,view") -> Path:
    picture(folder / "images" / "a.png")
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_a_csv_says_what_is_known_of_each_image(tmp_path: Path) -> None:
    path = listed(tmp_path, "images/a.png,1,,P1,61,F,AP", f"{tmp_path}/images/a.png,0,0,,,,")
    for root in (path, tmp_path):
        first, second = any_set.load(root)
        assert (first.patient, first.age_years, first.sex, first.view) == ("P1", 61, "F", "AP")
        assert (first.targets["mass"].value, first.targets["effusion"].source) == (1.0, "unknown")
        assert second.patient == f"{tmp_path}/images/a.png"
        assert (second.targets["mass"].value, second.targets["mass"].source) == (0.0, "radiologists")
        assert first.read().shape == (40, 50)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("images/none.png,1,,,,,", "line 2 names a file that is not there"),
        (",1,,,,,", "line 2 names a file"),
        ("labels.csv,1,,,,,", "no DICOM, PNG or JPEG"),
        ("images/a.png,2,,,,,", "line 2 has a truth_mass"),
        ("images/a.png,1,,,old,,", "line 2 has an age"),
        ("images/a.png,1,,", "line 2 holds 4 cells"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        any_set.load(listed(tmp_path, line))


@pytest.mark.parametrize("header", ["file,mass", "truth_mass,age", "file,age,truth_"])
def test_a_header_without_the_columns_is_refused(tmp_path: Path, header: str) -> None:
    with pytest.raises(ConfigurationError, match="file"):
        any_set.load(listed(tmp_path, "images/a.png,1", header=header))


def test_folders_are_findings_and_normal_has_none_of_them(tmp_path: Path) -> None:
    for name in ("mass/a.png", "effusion/b.jpg", "normal/deep/c.png"):
        picture(tmp_path / name)
    known = {image.name: {n: (t.value, t.source) for n, t in image.targets.items()} for image in any_set.load(tmp_path)}
    assert known["mass/a.png"] == {"mass": (1.0, "radiologists"), "effusion": (0.0, "unknown")}
    assert known["normal/deep/c.png"] == {"mass": (0.0, "radiologists"), "effusion": (0.0, "radiologists")}


def test_what_is_no_set_says_what_is_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="truth_FINDING"):
        any_set.load(tmp_path)
    with pytest.raises(ConfigurationError, match="not there"):
        any_set.load(tmp_path / "nowhere")


def test_sixteen_bits_are_scaled_and_not_cut(tmp_path: Path) -> None:
    for value, expected in ((65535, 255), (257 * 100, 100), (300, 1)):
        assert read_8_bits(picture(tmp_path / "p.png", value, "I;16")).max() == expected


def test_a_picture_goes_through_as_what_the_model_accepts(tmp_path: Path) -> None:
    for value, mode in ((100, "L"), (25700, "I;16")):
        path = wrap_picture(picture(tmp_path / "p.png", value, mode), tmp_path / "dicom", "CR", "CHEST", "AP")
        header = Values(read_header(path))
        said = [
            header.text(name) for name in ("Modality", "BodyPartExamined", "ViewPosition", "PatientID", "PatientAge")
        ]
        assert said == ["CR", "CHEST", "AP", "", ""]
        assert decode(path.read_bytes()).pixels.mean() == pytest.approx(100 / 255, abs=0.01)
    assert len(list((tmp_path / "dicom").iterdir())) == 2


def test_a_damaged_picture_is_refused(tmp_path: Path) -> None:
    whole = picture(tmp_path / "p.png").read_bytes()
    (tmp_path / "p.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidStudy, match="damaged"):
        read_picture(tmp_path / "p.png")


@pytest.mark.parametrize(
    "text",
    [
        "File;Truth_Mass;AGE;sex;view\nimages/a.png;True;045Y;female;pa\n",
        "file\ttruth_mass\tage\tsex\tview\nimages/a.png\t1.0\t45,5\tF\tPA\n",
        ",file, truth_mass ,age,sex,view,,\r\n0,images/a.png,yes,45.0,f,PA,,\r\n",
        "file,truth_mass,age,sex,view\nimages\\a.png,1,45,Female,PA\n",
    ],
    ids=["semicolons", "tabs", "pandas", "windows"],
)
def test_a_list_is_read_as_people_export_it(tmp_path: Path, text: str) -> None:
    listed(tmp_path).write_text("\ufeff" + text, encoding="utf-8")
    [image] = any_set.load(tmp_path / "labels.csv")
    assert (image.age_years, image.sex, image.view) == (45, "F", "PA")
    assert (image.targets["mass"].value, image.targets["mass"].source) == (1.0, "radiologists")


def test_what_pandas_writes_for_nothing_is_not_known(tmp_path: Path) -> None:
    [image] = any_set.load(listed(tmp_path, "images/a.png,nan,0,NaN,NA,None,"))
    assert (image.targets["mass"].source, image.targets["effusion"].value) == ("unknown", 0.0)
    assert (image.age_years, image.sex, image.patient) == (AGE_NOT_GIVEN, "", "images/a.png")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("images/a.png,1,,,,,", "images/a.png,0,,,,,"), "line 3 names the file of line 2 again"),
        (("images/a.png,1,,,,woman,",), "line 2 has a sex"),
        (("images/a.png,1,,,200Y,,",), "line 2 has an age"),
        (("images/a.png,-1,,,,,",), "line 2 has a truth_mass"),
        ((), "names no image"),
    ],
)
def test_a_line_that_would_count_wrongly_is_named(tmp_path: Path, lines, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        any_set.load(listed(tmp_path, *lines))


def test_folders_may_be_written_with_capitals(tmp_path: Path) -> None:
    for name in ("Mass/a.PNG", "Normal/b.png"):
        picture(tmp_path / name)
    assert [image.targets["mass"].value for image in any_set.load(tmp_path)] == [1.0, 0.0]
