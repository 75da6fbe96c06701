"""What is odd about a table is asked before its figures are believed; a sound table is asked nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pipeline.registration.audit_of_file import Question, audit_of


def sound(images: int = 400) -> pl.DataFrame:
    random = np.random.default_rng(8)
    truths = random.random(images) < 0.4
    scores = 1 / (1 + np.exp(-(random.normal(size=images) + 2 * truths - 1)))
    return pl.DataFrame(
        {
            "study_id": [f"S{n:04}" for n in range(images)],
            "patient_id": [f"P{n:04}" for n in range(images)],
            "sex": np.where(random.random(images) < 0.5, "F", "M"),
            "prob_x": scores,
            "truth_x": truths.astype(int),
        }
    )


def asked(folder: Path, table: pl.DataFrame, by: str = "sex", **more: object) -> str:
    table.write_csv(folder / "p.csv")
    question = Question(by=(by,), findings=(), thresholds=("x=0.5",), model=None, **more)
    return "\n".join(audit_of(folder / "p.csv", question).provenance.questions)


def named(name: str, values: object) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda table: table.with_columns(pl.Series(name, values(len(table)) if callable(values) else values))


ODD: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "a placeholder": (named("patient_id", lambda n: ["ANON"] * 60 + [f"P{i}" for i in range(n - 60)]), "60 of 400"),
    "capitals": (
        lambda table: table.with_columns(pl.col("prob_x").alias("Prob_Y")),
        "not read as predictions or truth: Prob_Y",
    ),
    "behind the name": (
        lambda table: table.with_columns(pl.col("prob_x").alias("y_score")),
        "not read as predictions or truth: y_score",
    ),
    "zeros lost": (
        named("patient_id", lambda n: [f"{i // 2:04}" if i % 2 else str(i // 2) for i in range(n)]),
        "zeros",
    ),
    "rounded ids": (named("study_id", lambda n: [f"1.{i}E+10" for i in range(n)]), "spreadsheet"),
    "rows twice": (
        lambda t: pl.concat([t, t[:50].with_columns(study_id="R" + pl.col("study_id"))]),
        "50 of 450 lines agree",
    ),
    "training rows": (named("split", lambda n: ["train", "test"] * (n // 2)), "column split"),
    "folds": (named("fold", lambda n: [i % 5 for i in range(n)]), "column fold"),
    "weights": (named("sampling_weight", lambda n: [1.0 + i % 2 for i in range(n)]), "sampling_weight"),
    "one score": (named("prob_x", lambda n: [0.4] * n), "same value"),
    "decisions": (lambda t: t.with_columns((pl.col("prob_x") > 0.5).cast(pl.Int8)), "only 0 and 1"),
    "the other class": (lambda t: t.with_columns(prob_x=1 - pl.col("prob_x")), "wrong way round"),
    "truth from the score": (lambda t: t.with_columns(truth_x=(pl.col("prob_x") > 0.5).cast(pl.Int8)), "follows from"),
    "truth blank": (named("truth_x", lambda n: ["1", "0", "", ""] * (n // 4)), "not known of 50 %"),
    "no truth": (lambda t: t.drop("truth_x"), "no truth column"),
    "another threshold": (lambda t: t.with_columns(pred_x=(pl.col("prob_x") > 0.3).cast(pl.Int8)), "pred_x decides"),
    "two sexes": (named("patient_id", lambda n: [f"P{i // 4}" for i in range(n)]), "more than one value of sex"),
    "spelling of sexes": (lambda t: t.with_columns(sex=pl.col("sex").replace({"F": "female"})), ""),
}


def test_a_sound_table_is_asked_nothing(tmp_path: Path) -> None:
    assert asked(tmp_path, sound()) == ""


@pytest.mark.parametrize("case", ODD)
def test_what_is_odd_is_said(tmp_path: Path, case: str) -> None:
    change, words = ODD[case]
    found = asked(tmp_path, change(sound()))
    assert words in found
    assert "ANON" not in found
    assert bool(found) == bool(words)


def test_values_that_differ_in_case_and_cells_of_several_values(tmp_path: Path) -> None:
    races = ["White", "white", "White;Asian", "Asian"] * 100
    found = asked(tmp_path, sound().with_columns(pl.Series("race", races)), by="race")
    assert "upper and lower case" in found
    assert "several values" in found
    words = asked(tmp_path, sound().with_columns(pl.Series("site", ["A", "nan", "B", "None"] * 100)), by="site")
    assert "None, nan are taken as not known" in words


def test_columns_that_were_not_asked_for_are_not_named_with_their_values(tmp_path: Path) -> None:
    table = sound().with_columns(pl.Series("reader", ["Dr. CANARY", "Dr. FINCH"] * 200))
    table.write_csv(tmp_path / "p.csv")
    audit = audit_of(tmp_path / "p.csv", Question(by=("sex",), findings=(), thresholds=(), model=None))
    assert "CANARY" not in repr(audit)
    assert [attribute.name for attribute in audit.provenance.attributes] == ["sex"]
