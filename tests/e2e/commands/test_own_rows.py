"""`candor audit` for the owner of the rows, on a real terminal of 80 columns, and against files made to attack it."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.house import environment

INTERVAL = re.compile(r"[+-]?\d\.\d\d \[[+-]?\d\.\d\d, [+-]?\d\.\d\d\]")
FORMULA = '=cmd|"/C calc"!A0'


def audit(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "api", "audit", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, check=False
    )


def on_a_terminal_of_80(folder: Path, *arguments: object) -> tuple[int, str]:
    """What a person sees: the command on a pseudo-terminal that is 80 columns wide."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = {name: value for name, value in environment().items() if name not in {"COLUMNS", "NO_COLOR"}}
    command = [sys.executable, "-m", "api", *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=folder, env=env | {"TERM": "xterm"}, stdout=child, stderr=subprocess.DEVNULL
    )
    os.close(child)
    said = b""
    while chunk := _read(parent):
        said += chunk
    os.close(parent)
    return process.wait(120), re.sub(r"\x1b\[[0-9;]*m", "", said.decode()).replace("\r", "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


def write(path: Path, finding: str = "effusion", images: int = 600, *, gap: float = 1.5, second: float = 0.0) -> Path:
    """A table in which the finding is missed more often in view AP; `second`: another model's noise."""
    random = np.random.default_rng(2)
    views, sexes = random.choice(["AP", "PA"], images), random.choice(["F", "M"], images)
    sexes[:4] = "O"  # a small cell
    truths = random.random(images) < 0.4
    scores = random.normal(size=images) + 3 * truths - 1.5 - gap * (truths & (views == "AP"))
    scores = 1 / (1 + np.exp(-(scores + random.normal(0, second, images))))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["study_id", "patient_id", "view", "sex", f"prob_{finding}", f"truth_{finding}"])
        for index in range(images):
            row = (f"S{index}", f"P{index}", views[index], sexes[index], f"{scores[index]:.6f}", int(truths[index]))
            writer.writerow(row)
    return path


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_no_interval_is_cut_at_80_columns(tmp_path: Path) -> None:
    for finding in ("effusion", "nodule_or_mass_of_the_left_lung"):
        first, second = write(tmp_path / "a.csv", finding), write(tmp_path / "b.csv", finding, second=1.0)
        given = ("audit", "--predictions", first, "--by", "sex,view", "--out", "out", "--against", second)
        code, said = on_a_terminal_of_80(tmp_path, *given)
        assert code == 0, said
        assert "…" not in said
        assert len(INTERVAL.findall(said)) == 6  # three figures, three differences
        assert "These intervals are not corrected for how many there are" in said
        assert max(len(line) for line in said.splitlines() if INTERVAL.search(line)) <= 80


def test_console_and_page_count_the_same_gaps(tmp_path: Path) -> None:
    answer = audit(tmp_path, "--predictions", write(tmp_path / "p.csv"), "--by", "sex,view", "--out", "out")
    counted = re.search(r"(\d+) gaps? tested; (\d+) (?:is|are) certain", answer.stdout)
    page = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
    assert counted, answer.stdout + answer.stderr
    said = re.search(r"(\d+) comparisons: (\d+) gaps? (?:is|are) certain", page)
    assert said is not None
    assert counted.groups() == said.groups()
    listed = re.findall(r"percentage points more .* after Holm", answer.stdout)
    assert len(listed) == int(counted[2]) >= 1
    assert "view AP" in answer.stdout


def test_the_owner_sees_small_cells_and_the_page_says_so(tmp_path: Path) -> None:
    file = write(tmp_path / "p.csv")
    audit(tmp_path, "--predictions", file, "--by", "sex", "--out", "hidden")
    shown = audit(tmp_path, "--predictions", file, "--by", "sex", "--out", "shown", "--small-cells", "show")
    hidden = {row["cohort"] for row in rows(tmp_path / "hidden") if row["note"].startswith("suppressed")}
    assert "sex=O" in hidden
    assert not [row for row in rows(tmp_path / "shown") if row["note"].startswith("suppressed")]
    counts = {row["cohort"]: row["n"] for row in rows(tmp_path / "shown") if row["metric"] == "prevalence"}
    assert counts["sex=O"] == "4"
    assert "Small cohorts are shown" in (tmp_path / "shown" / "audit.html").read_text(encoding="utf-8")
    assert "Small cohorts are shown" in shown.stdout


def test_the_missed_studies_are_listed_by_their_ids_for_the_owner_alone(tmp_path: Path) -> None:
    file = write(tmp_path / "p.csv")
    given = ("--predictions", file, "--by", "view", "--out", "out", "--threshold", "effusion=0.4", "--missed", "m.csv")
    assert audit(tmp_path, *given).returncode == 0
    with file.open(encoding="utf-8", newline="") as opened:
        table = list(csv.DictReader(opened))
    with (tmp_path / "m.csv").open(encoding="utf-8", newline="") as opened:
        listed = list(csv.DictReader(opened))
    for error, truth in (("missed", "1"), ("false alarm", "0")):
        wrong = [
            r for r in table if r["truth_effusion"] == truth and (float(r["prob_effusion"]) < 0.4) == (truth == "1")
        ]
        assert sorted(r["study_id"] for r in wrong) == sorted(r["study_id"] for r in listed if r["error"] == error)
    assert (tmp_path / "m.csv").stat().st_mode & 0o777 == 0o600
    assert "S1," not in (tmp_path / "out" / "audit.json").read_text(encoding="utf-8")


def test_two_models_need_the_same_studies_and_one_truth(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.csv"), write(tmp_path / "b.csv", images=500)
    given = ("--predictions", first, "--by", "view", "--out", "out", "--against", second)
    assert "100 of 600 study_id of a.csv are not in b.csv" in audit(tmp_path, *given).stderr
    second.write_text(first.read_text().replace(",0\n", ",1\n", 1), encoding="utf-8")
    assert "truth_effusion differs between a.csv and b.csv in 1 studies" in audit(tmp_path, *given).stderr


@pytest.mark.parametrize("finding", [FORMULA, "@SUM(1+1)", "+1", "-2+3", "\tx"])
def test_a_spreadsheet_runs_nothing_of_metrics_csv(tmp_path: Path, finding: str) -> None:
    file = write(tmp_path / "p.csv", finding)
    given = ("--predictions", file, "--by", "sex", "--out", "out", "--missed", "m.csv")
    assert audit(tmp_path, *given).returncode == 0
    for name in ("out/metrics.csv", "m.csv"):
        with (tmp_path / name).open(encoding="utf-8", newline="") as opened:
            texts = [cell for row in csv.reader(opened) for cell in row if not _is_number(cell)]
        assert [cell for cell in texts if cell[:1] in "=+-@\t\r" and cell] == []


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("name", ["[/red]", "[bold]x[/x]", "\x1b]0;owned\x07", "\u202egnp", "[link=file:///x]y[/link]"])
def test_markup_is_printed_and_control_characters_are_shown(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "p.csv", name)
    for given in (("--by", "sex"), ("--by", "nothing"), ("--by", "sex", "--finding", "none")):
        answer = audit(tmp_path, "--predictions", file, *given, "--out", "out")
        said = answer.stdout + answer.stderr
        assert "Traceback" not in said
        assert "unexpected" not in said
        assert not [sign for sign in said if sign != "\n" and (ord(sign) < 32 or sign in "\x7f\u202e")]
    shown = name.replace("\x1b", "\\x1b").replace("\x07", "\\x07").replace("\u202e", "\\x202e")
    assert shown in said


def test_a_document_nested_without_end_is_refused_with_a_sentence(tmp_path: Path) -> None:
    for depth, start, end in ((200_000, "[", "]"), (50_000, '{"provenance":', "}")):
        (tmp_path / "audit.json").write_text(start * depth + end * depth, encoding="utf-8")
        answer = audit(tmp_path, "--verify", "audit.json")
        assert answer.returncode == 2
        assert "cannot be read" in answer.stderr
        assert "unexpected" not in answer.stderr


def test_what_makes_the_audit_again_is_on_its_page(tmp_path: Path) -> None:
    given = (
        "--predictions",
        write(tmp_path / "p.csv"),
        "--by",
        "view",
        "--threshold-at",
        "specificity=0.9",
        "--out",
        "o",
    )
    assert audit(tmp_path, *given).returncode == 0
    (threshold,) = json.loads((tmp_path / "o" / "audit.json").read_text(encoding="utf-8"))["provenance"]["thresholds"]
    assert threshold["source"] == "chosen on these rows: specificity 0.9"
    (row,) = [r for r in rows(tmp_path / "o") if (r["metric"], r["cohort"]) == ("specificity", "all")]
    assert 0.9 <= float(row["value"]) < 0.91
    assert "--threshold-at specificity=0.9" in (tmp_path / "o" / "audit.html").read_text(encoding="utf-8")
