"""What cells say: ages as DICOM writes them, dates, missing values, sexes, uncertain truths, own age bands."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigurationError
from fairness.predictions.cells import HowToRead
from fairness.predictions.csv import open_predictions


def written(folder: Path, column: str, *cells: str) -> Path:
    path = folder / "p.csv"
    lines = [f"S{n},P{n},0.5,1,{cell}" for n, cell in enumerate(cells)]
    path.write_text("\n".join([f"study_id,patient_id,prob_x,truth_x,{column}", *lines]) + "\n", encoding="utf-8")
    return path


def values(path: Path, name: str, how: HowToRead | None = None) -> list[str]:
    with open_predictions(path, (name,), how) as file:
        grouping = file.table.attributes[name]
        return [grouping.values[code] for code in grouping.codes]


def test_ages_of_dicom_are_read_in_their_unit(tmp_path: Path) -> None:
    path = written(tmp_path, "age", "045Y", "018M", "003W", "010D", "17.9", "80", "")
    assert values(path, "age_band") == ["40-59", "0-17", "0-17", "0-17", "0-17", "80+", "UNKNOWN"]


def test_age_bands_begin_where_a_person_says(tmp_path: Path) -> None:
    path = written(tmp_path, "age", "5", "17", "18", "49", "50", "95")
    assert values(path, "age_band", HowToRead(age_edges=(18.0, 50.0))) == [
        *("0-17", "0-17", "18-49", "18-49", "50+", "50+")
    ]
    with pytest.raises(ConfigurationError, match="rising"):
        HowToRead(age_edges=(50.0, 18.0))


@pytest.mark.parametrize("edges", [(), (0.0,), (40.0, 40.0), (18.0, 200.0), (float("nan"),)])
def test_bands_that_are_none_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(ConfigurationError, match="18,40,65"):
        HowToRead(age_edges=edges)


@pytest.mark.parametrize(
    ("cells", "window"),
    [
        (("2024-01-31", "2023-11-02"), ("2023-11-02", "2024-01-31")),
        (("20240131", "20231102"), ("2023-11-02", "2024-01-31")),
        (("31.01.2024", "02.11.2023"), ("2023-11-02", "2024-01-31")),
        (("2024-01-31T08:15:00Z", "2023-11-02 23:59"), ("2023-11-02", "2024-01-31")),
        (("", "2024/01/31"), ("2024-01-31", "2024-01-31")),
    ],
)
def test_the_window_is_of_days_and_not_of_texts(tmp_path: Path, cells: tuple[str, ...], window: object) -> None:
    with open_predictions(written(tmp_path, "study_date", *cells), ()) as file:
        assert file.window == window


@pytest.mark.parametrize("cell", ["CANARY^ANNA", "2024-13-01", "01/31/2024", "2024-01-31 CANARY", "20240230", "1"])
def test_a_study_date_that_is_none_is_refused_by_line_and_not_repeated(tmp_path: Path, cell: str) -> None:
    path = written(tmp_path, "study_date", "2024-01-31", cell, cell)
    with (
        pytest.raises(ConfigurationError, match=r"study_date: 2 of 3 cells .*line 3") as refused,
        open_predictions(path, ()),
    ):
        pass
    assert "CANARY" not in str(refused.value)


def test_missing_values_are_one_cohort_and_na_alone_is_a_value(tmp_path: Path) -> None:
    path = written(tmp_path, "site", "A", "nan", "None", "N/A", "NA", " ", "Unknown")
    assert set(values(path, "site")) == {"A", "UNKNOWN"}
    assert values(written(tmp_path, "country", "NA", "DE", "NA"), "country") == ["NA", "DE", "NA"]


def test_sexes_are_f_and_m_however_they_are_spelled(tmp_path: Path) -> None:
    path = written(tmp_path, "sex", "F", "female", "FEMALE", "m", "Male", "X")
    assert values(path, "sex") == ["F", "F", "F", "M", "M", "X"]


@pytest.mark.parametrize(
    ("word", "truths"), [("positive", [1, 0, 1]), ("negative", [1, 0, 0]), ("unknown", [1, 0, -1])]
)
def test_an_uncertain_truth_counts_as_a_person_says(tmp_path: Path, word: str, truths: list[int]) -> None:
    path = tmp_path / "p.csv"
    path.write_text("study_id,patient_id,prob_x,truth_x\n1,1,0.1,1\n2,2,0.2,0.0\n3,3,0.3,-1.0\n", encoding="utf-8")
    with open_predictions(path, (), HowToRead(uncertain=word)) as file:
        assert file.table.source.scores("x").truths.tolist() == truths
    with pytest.raises(ConfigurationError, match=r"--uncertain.*line 4"), open_predictions(path, ()):
        pass


@pytest.mark.parametrize("words", [("True", "False"), ("yes", "no"), ("1.0", "0.0"), ("POSITIVE", "Negative")])
@pytest.mark.parametrize("nothing", ["", "NaN", "nan", "NA", "None", "<NA>"])
def test_truths_are_read_as_programs_export_them(tmp_path: Path, words: tuple[str, str], nothing: str) -> None:
    path = tmp_path / "p.csv"
    lines = [f"S{n},P{n},F,0.5,{cell}" for n, cell in enumerate((*words, nothing))]
    path.write_text("\n".join(["study_id,patient_id,sex,prob_x,truth_x", *lines]) + "\n", encoding="utf-8")
    with open_predictions(path, ("sex",)) as file:
        assert file.table.source.scores("x").truths.tolist() == [1, 0, -1]
