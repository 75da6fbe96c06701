"""What could make an audit of a CSV file speak of something else than the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import ConfigurationError
from fairness.predictions.csv import open_predictions


def written(folder: Path, *lines: str) -> Path:
    path = folder / "p.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_column_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "study_id,patient_id,sex,prob_x,prob_x,truth_x", "1,1,F,0.1,0.2,0")
    with pytest.raises(ConfigurationError, match="names column prob_x twice"), open_predictions(path, ("sex",)):
        pass


def test_a_value_cannot_pass_for_an_intersection(tmp_path: Path) -> None:
    path = written(tmp_path, "study_id,patient_id,site,sex,prob_x", "1,1,A & sex=M,F,0.1", "2,2,B,M,0.2")
    with open_predictions(path, ("site",)) as file:
        assert set(file.table.attributes["site"].values) == {"A + sex:M", "B"}
