"""A published model on 22,433 NIH images: its AUROCs by view and age are those that were computed elsewhere.

Skipped where the predictions are not next to the repository; nothing of them is committed.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import polars as pl
import pytest

from fairness.audit.nouns import Provenance
from fairness.audit.run import Request, run_audit
from fairness.audit.sample_size import for_gap, for_half_width
from fairness.predictions.csv import open_predictions

SHARED = Path(os.environ.get("CANDOR_SHARED", Path(__file__).resolve().parents[4] / "shared")) / "data"
FINDINGS = ("Cardiomegaly", "Effusion")
PUBLISHED = {
    ("Cardiomegaly", "view=PA"): 0.940,
    ("Cardiomegaly", "view=AP"): 0.852,
    ("Effusion", "view=PA"): 0.911,
    ("Effusion", "view=AP"): 0.830,
    ("Cardiomegaly", "age_band=18-39"): 0.934,
    ("Cardiomegaly", "age_band=60-79"): 0.858,
}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    predictions = SHARED / "nih_predictions" / "preds.csv"
    labels = SHARED / "nih_labels" / "Data_Entry_2017_v2020.csv.gz"
    if not (predictions.exists() and labels.exists()):
        pytest.skip("the NIH predictions are not at ../shared/data/nih_predictions (or CANDOR_SHARED)")
    with gzip.open(labels) as file:
        known = pl.read_csv(file.read())
    joined = pl.read_csv(predictions).join(known, on="Image Index")
    has = pl.col("Finding Labels").str.split("|").list
    path = tmp_path_factory.mktemp("nih") / "nih.csv"
    joined.select(
        pl.col("Image Index").alias("study_id"),
        pl.col("Patient ID").alias("patient_id"),
        pl.col("Patient Age").alias("age"),
        pl.col("Patient Gender").alias("sex"),
        pl.col("View Position").alias("view"),
        *(f"prob_{name}" for name in FINDINGS),
        *(has.contains(name).cast(pl.Int8).alias(f"truth_{name}") for name in FINDINGS),
    ).write_csv(path)
    return path


def test_aurocs_by_view_and_age_are_those_of_the_design(table):
    origin = Provenance(code_version="", made_at="", source="nih")
    with open_predictions(table, ("age_band", "view")) as file:
        audit = run_audit(file.table, Request(by=("age_band", "view"), draws=50), origin)
    assert audit.provenance.rows == 22433
    for (finding, cohort), value in PUBLISHED.items():
        row = audit.row(finding, "auroc", cohort)
        assert row is not None
        assert row.value == pytest.approx(value, abs=0.0005)
    whole = {row["label"]: float(row["auc"]) for row in pl.read_csv(SHARED / "nih_predictions/aucs.csv").to_dicts()}
    for finding in FINDINGS:
        assert audit.row(finding, "auroc").value == pytest.approx(whole[finding], abs=1e-6)


def test_sample_sizes_of_the_design():
    assert for_half_width(0.87, 0.05) == 175
    assert for_gap(0.87, 0.10) == 228
    assert for_gap(0.87, 0.10, cohorts=20) == 434
