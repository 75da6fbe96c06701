"""`candor audit` from the outside: what it writes, and one sentence for each thing that can be wrong with a file."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, confusion_matrix, roc_auc_score
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from tests.e2e.house import environment

COLUMNS = "finding,metric,cohort,value,low,high,n,positives,negatives,note"


def audit(folder, *arguments, **more):
    return subprocess.run(
        [sys.executable, "-m", "api", "audit", *map(str, arguments)],
        cwd=folder,
        env={**environment(), **more},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def rows_of(images, seed=1, per_patient=1):
    random = np.random.default_rng(seed)
    truths = random.random(images) < 0.3
    probabilities = 1 / (1 + np.exp(-(random.normal(size=images) + np.where(truths, 1.0, -1.0))))
    sexes, ages = random.choice(["F", "M"], images), random.integers(18, 95, images)
    return [
        {
            "study_id": f"S{index}",
            "patient_id": f"P{index // per_patient}",
            "age": int(ages[index]),
            "sex": str(sexes[index]),
            "prob_effusion": repr(float(probabilities[index])),
            "truth_effusion": int(truths[index]),
        }
        for index in range(images)
    ]


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def metrics(folder):
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return {(row["finding"], row["metric"], row["cohort"]): row for row in csv.DictReader(file)}


def test_every_figure_is_that_of_an_independent_library(tmp_path):
    rows = rows_of(3000)
    answer = audit(tmp_path, "--predictions", write(tmp_path / "p.csv", rows), "--by", "sex,age_band", "--out", "out")
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "out" / "metrics.csv").read_text().splitlines()[0] == COLUMNS
    found = metrics(tmp_path / "out")
    bands = {"18-39": (18, 39), "40-59": (40, 59), "60-79": (60, 79), "80+": (80, 200)}
    for sex in ("F", "M"):
        for band, (low, high) in bands.items():
            members = [row for row in rows if row["sex"] == sex and low <= row["age"] <= high]
            rest = [row for row in rows if row not in members]
            check_cohort(found, f"sex={sex} & age_band={band}", members, rest)
    assert found["effusion", "auroc", "all"]["n"] == "3000"


def check_cohort(found, cohort, members, rest):
    truths = np.array([row["truth_effusion"] for row in members])
    probabilities = np.array([float(row["prob_effusion"]) for row in members])
    (tn, fp), (fn, tp) = confusion_matrix(truths, probabilities >= 0.5)
    expected = {
        "auroc": roc_auc_score(truths, probabilities),
        "brier": brier_score_loss(truths, probabilities),
        "ece": equal_mass_error(truths, probabilities),
    }
    for metric, value in expected.items():
        assert float(found["effusion", metric, cohort]["value"]) == pytest.approx(value, abs=1e-9)
    rates = {"sensitivity": (tp, tp + fn), "specificity": (tn, tn + fp), "ppv": (tp, tp + fp), "npv": (tn, tn + fn)}
    for metric, (successes, trials) in (rates | {"prevalence": (tp + fn, len(members))}).items():
        row = found["effusion", metric, cohort]
        low, high = proportion_confint(successes, trials, method="wilson")
        assert [float(row[name]) for name in ("value", "low", "high")] == pytest.approx(
            [successes / trials, low, high], abs=1e-9
        )
        assert (int(row["positives"]), int(row["negatives"])) == (tp + fn, tn + fp)
    others = [(row["truth_effusion"], float(row["prob_effusion"]) >= 0.5) for row in rest]
    for metric, truth, wrong in (("fnr_gap", 1, fn), ("fpr_gap", 0, fp)):
        trials = int((truths == truth).sum())
        other = [flagged for said, flagged in others if said == truth]
        other_wrong = sum(flagged != bool(truth) for flagged in other)
        interval = confint_proportions_2indep(wrong, trials, other_wrong, len(other), compare="diff", method="newcomb")
        row = found["effusion", metric, cohort]
        assert float(row["value"]) == pytest.approx(wrong / trials - other_wrong / len(other), abs=1e-9)
        assert [float(row["low"]), float(row["high"])] == pytest.approx(interval, abs=1e-9)


def equal_mass_error(truths, probabilities):
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, 10)
    return sum(len(p) * abs(truths[p].mean() - probabilities[p].mean()) for p in parts) / len(truths)


def test_the_audit_is_signed_and_a_changed_figure_is_found_out(tmp_path):
    file = write(tmp_path / "p.csv", rows_of(400))
    assert audit(tmp_path, "--predictions", file, "--by", "sex", "--out", "out").returncode == 0
    path = tmp_path / "out" / "audit.json"
    assert audit(tmp_path, "--verify", path).returncode == 0
    document = json.loads(path.read_text())
    assert len(document["provenance"]["input_sha256"]) == 64
    assert document["provenance"]["tests"] == 2
    document["rows"][3]["value"] = 0.99
    path.write_text(json.dumps(document))
    answer = audit(tmp_path, "--verify", path)
    assert answer.returncode == 6
    assert "changed" in answer.stderr


def test_with_a_data_folder_the_site_signs(tmp_path):
    subprocess.run([sys.executable, "-m", "api", "init", "--data", "data"], cwd=tmp_path, env=environment(), check=True)
    file = write(tmp_path / "p.csv", rows_of(400))
    keys = set()
    for out in ("one", "two"):
        audit(tmp_path, "--predictions", file, "--by", "sex", "--out", out, "--data", "data")
        keys.add(json.loads((tmp_path / out / "audit.json").read_text())["signature"]["public_key"])
    assert len(keys) == 1
    assert audit(tmp_path, "--verify", "one/audit.json", "--public-key", keys.pop()).returncode == 0
    assert audit(tmp_path, "--verify", "one/audit.json", "--public-key", "00" * 32).returncode == 6


def changed(**cells):
    def change(rows):
        rows[5] = {**rows[5], **cells}

    return change


def drop(name):
    def change(rows):
        for row in rows:
            del row[name]

    return change


WRONG = {
    "no study_id": (drop("study_id"), ["study_id", "add it"]),
    "no patient_id": (drop("patient_id"), ["patient_id", "repeat study_id"]),
    "no probabilities": (drop("prob_effusion"), ["prob_FINDING"]),
    "no cohort column": (drop("sex"), ["sex", "age_band"]),
    "NaN": (changed(prob_effusion="nan"), ["prob_effusion", "1 of 100", "line 7"]),
    "empty probability": (changed(prob_effusion=""), ["prob_effusion", "line 7"]),
    "a percentage": (changed(prob_effusion="37.2"), ["prob_effusion", "0 to 1"]),
    "a word": (changed(prob_effusion="CANARY"), ["prob_effusion", "line 7"]),
    "a truth of 2": (changed(truth_effusion="2"), ["truth_effusion", "neither 0 nor 1"]),
    "the same study twice": (changed(study_id="S6"), ["study_id", "repeat"]),
    "no patient": (changed(patient_id=" "), ["patient_id", "empty"]),
    "an impossible age": (changed(age="-3"), ["age", "line 7"]),
    "one line": (lambda rows: rows.__delitem__(slice(1, None)), ["11 patients"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_file_is_said_in_one_sentence(tmp_path, case):
    change, words = WRONG[case]
    rows = rows_of(100)
    change(rows)
    answer = audit(tmp_path, "--predictions", write(tmp_path / "p.csv", rows), "--by", "sex", "--out", "out")
    assert_one_sentence(answer, words)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"study_id,patient_id,sex,prob_x\n", "line for each study"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "not a CSV"),
        (b"just one line of text\n", "not a CSV"),
        (b"study_id,patient_id,sex,prob_x\nS1,P1,F,0.5\nS2,P2,F,0.5,7,8\n", "not a CSV"),
        (b"study_id,patient_id,sex,prob_x\nS1,P1,\xff\xfe,0.5\n", "not a CSV"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, content, word):
    (tmp_path / "p.csv").write_bytes(content)
    answer = audit(tmp_path, "--predictions", "p.csv", "--by", "sex", "--out", "out")
    assert_one_sentence(answer, [word])


def assert_one_sentence(answer, words):
    assert answer.returncode == 2, answer.stderr
    said = answer.stderr.strip().splitlines()[-1]
    assert said.startswith("candor: ")
    assert "CANARY" not in answer.stderr
    assert "Traceback" not in answer.stderr
    for word in words:
        assert word in said


def test_one_class_only_is_a_right_answer(tmp_path):
    rows = [{**row, "truth_effusion": 0} for row in rows_of(300)]
    answer = audit(tmp_path, "--predictions", write(tmp_path / "p.csv", rows), "--by", "sex", "--out", "out")
    assert answer.returncode == 0, answer.stderr
    found = metrics(tmp_path / "out")
    assert found["effusion", "sensitivity", "all"]["value"] == ""
    assert "insufficient data: no positives" in found["effusion", "sensitivity", "all"]["note"]
    assert float(found["effusion", "specificity", "all"]["value"]) > 0.5


def test_truth_that_is_not_known_counts_for_flags_alone(tmp_path):
    rows = rows_of(600)
    for row in rows[::2]:
        row["truth_effusion"] = ""
    audit(tmp_path, "--predictions", write(tmp_path / "p.csv", rows), "--by", "sex", "--out", "out")
    found = metrics(tmp_path / "out")
    assert (found["effusion", "flag_rate", "all"]["n"], found["effusion", "auroc", "all"]["n"]) == ("600", "300")


def test_what_must_be_given_is_said(tmp_path):
    assert_one_sentence(audit(tmp_path), ["--predictions"])
    assert_one_sentence(audit(tmp_path, "--predictions", "no.csv", "--by", "sex", "--out", "out"), ["not there"])
    write(tmp_path / "p.csv", rows_of(50))
    for more, word in ((("--finding", "mass"), "mass"), (("--threshold", "effusion=7"), "0 to 1")):
        assert_one_sentence(audit(tmp_path, "--predictions", "p.csv", "--by", "sex", "--out", "out", *more), [word])
