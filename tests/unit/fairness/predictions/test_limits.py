"""Files that are no table of predictions: each is refused with a sentence, within seconds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from core.errors import ConfigurationError
from fairness.predictions.csv import open_predictions

LINE = b"S1,P1,F,0.5,1\n"
HEADER = b"study_id,patient_id,sex,prob_x,truth_x"
MANY = b",".join(b"prob_f%d,truth_f%d" % (n, n) for n in range(2500))
REFUSED = {
    "5,000 columns": (b"study_id,patient_id,sex," + MANY + b"\n", "5,003 columns"),
    "a doubled name beyond 64 kB": (HEADER + b"," + b"y" * 70_000 + b",prob_x\n" + LINE, "prob_x twice"),
    "a header of 2 MB": (HEADER + b"," + b"y" * 2_000_000 + b"\n", "line 1 is longer"),
    "a name of 200 kB": (HEADER + b"," + b"y" * 200_000 + b"\n" + LINE, "too long"),
    "a cell of 100 MB": (HEADER + b"\n" + LINE + b"S2,P2," + b"F" * 100_000_000 + b",0.5,1\n", "line 3 is longer"),
    "a cell of many lines": (HEADER + b"\n" + LINE + b'S2,P2,"' + b"F\n" * 600_000 + b'",0.5,1\n', "line 3 is longer"),
    "a quotation mark never closed": (HEADER + b'\nS2,"P2,F,0.5,1\n' + LINE * 100_000, "line 2 is longer"),
    "semicolons": (b"study_id;patient_id;sex;prob_x\nS1;P1;F;0,5\n", "separated by semicolons"),
    "old Macs": (HEADER + b"\rS1,P1,F,0.5,1\r", "as old Macs did"),
    "Parquet": (b"PAR1\0\0,\0", "Parquet"),
    "a spreadsheet": (b"PK\x03\x04\0\0,\0", "spreadsheet"),
    "gzip": (b"\x1f\x8b\x08\0,\0", "gzip"),
    "UTF-16": ("study_id,patient_id\n".encode("utf-16"), "UTF-16"),
    "empty columns": (HEADER + b",,,\n" + LINE, "without a name"),
    "a null byte": (HEADER + b"\nS1,P1,F,0.5\0,1\n", "not a CSV"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_table_is_refused_within_seconds(tmp_path: Path, case: str) -> None:
    content, words = REFUSED[case]
    path = tmp_path / "p.csv"
    path.write_bytes(content)
    began = time.monotonic()
    with pytest.raises(ConfigurationError, match=words), open_predictions(path, ("sex",)):
        pass
    assert time.monotonic() - began < 10


def test_a_name_is_a_name_and_no_pattern(tmp_path: Path) -> None:
    for name, study in (("glob[1].csv", "MINE"), ("glob1.csv", "OTHER"), ("glob*.csv", "STAR")):
        (tmp_path / name).write_bytes(HEADER + f"\n{study},P1,F,0.5,1\n".encode())
    for name, study in (("glob[1].csv", "MINE"), ("glob*.csv", "STAR")):
        with open_predictions(tmp_path / name, ("sex",)) as file:
            assert file.lines.collect()["study_id"].to_list() == [study]
