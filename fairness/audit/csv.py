"""Predictions of any model in a CSV file, checked and made ready for an audit in bounded memory.

Columns: study_id, patient_id, prob_<finding> and truth_<finding> (0, 1 or empty) for each finding, age if there is one,
study_date (for the window) if there is one; every other column with few values divides patients into cohorts. The file
is read twice as a stream, once to check it and once into a column store in a temporary folder, where study and patient
are hashes. An error never shows a value of a cell.
"""

from __future__ import annotations

import csv
import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.errors import ConfigurationError
from fairness.audit.table import TRUTH_UNKNOWN, AuditTable, Scores
from fairness.cohorts import AGE_EDGES, UNKNOWN, band_of
from fairness.grouping import Grouping

STUDY, PATIENT, AGE, AGE_BAND, DATE = "study_id", "patient_id", "age", "age_band", "study_date"
PROBABILITY, TRUTH = "prob_", "truth_"
MOST_VALUES = 64
_RESERVED = (STUDY, PATIENT, AGE, DATE)
_OLDEST = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionsFile:
    """A checked file: its table, the first and last study date if there were any, and its SHA-256."""

    table: AuditTable
    window: tuple[str, str] | None
    sha256: str


@contextmanager
def open_predictions(path: Path, by: Sequence[str]) -> Iterator[PredictionsFile]:
    """The table of a CSV file, for as long as the context is open; its columns lie in a temporary folder meanwhile.

    Raises ConfigurationError, which says what is wrong with the file and what to do.
    """
    columns = _columns(path)
    findings = _findings(columns)
    _require(columns, by)
    with tempfile.TemporaryDirectory(prefix="candor-audit-") as folder:
        try:
            lines = pl.scan_csv(path, infer_schema=False)
            _check_cells(lines, columns, findings)
            store = Path(folder) / "columns.parquet"
            lines.select(_typed(columns, findings)).sink_parquet(store)
            yield _predictions(path, pl.scan_parquet(store), columns, findings, by)
        except pl.exceptions.PolarsError as error:
            raise ConfigurationError(
                f"{path.name} is not a CSV file with a header and as many cells in each line; export it again "
                "as comma-separated UTF-8"
            ) from error


@dataclass(frozen=True, slots=True)
class _StoredScores:
    """Reads one finding's columns when they are needed."""

    store: pl.LazyFrame
    findings: tuple[str, ...]
    with_truth: frozenset[str]

    def scores(self, finding: str) -> Scores:
        """The scores of one finding."""
        wanted = [PROBABILITY + finding] + ([TRUTH + finding] if finding in self.with_truth else [])
        frame = self.store.select(wanted).collect()
        probabilities = frame[PROBABILITY + finding].to_numpy()
        if finding in self.with_truth:
            return Scores(probabilities, frame[TRUTH + finding].to_numpy())
        return Scores(probabilities, np.full(len(probabilities), TRUTH_UNKNOWN, np.int8))


def _columns(path: Path) -> list[str]:
    if not path.is_file():
        raise ConfigurationError(f"{path} is not there; give a CSV file of predictions")
    if path.stat().st_size == 0:
        raise ConfigurationError(f"{path.name} is empty; it needs a header and a line for each study")
    with path.open("rb") as file:
        start = file.read(64 * 1024)
    if b"\0" in start or b"," not in start.splitlines()[0]:
        raise ConfigurationError(f"{path.name} is not a CSV file: its first line holds no comma-separated header")
    _refuse_doubled_names(start.splitlines()[0])
    try:
        return pl.scan_csv(path, infer_schema=False).collect_schema().names()
    except pl.exceptions.PolarsError as error:
        raise ConfigurationError(f"{path.name} cannot be read as CSV; export it again as UTF-8") from error


def _refuse_doubled_names(header: bytes) -> None:
    """polars would call the second one something else, and an audit would speak of a finding that does not exist."""
    names = next(csv.reader([header.decode("utf-8", "replace")]), [])
    if doubled := [name for name, count in Counter(names).items() if count > 1]:
        raise ConfigurationError(f"the header names column {doubled[0]} twice; keep one of them")


def _findings(columns: Sequence[str]) -> tuple[str, ...]:
    if missing := [name for name in (STUDY, PATIENT) if name not in columns]:
        advice = "; where every study is of another patient, repeat study_id there" if PATIENT in missing else ""
        raise ConfigurationError(f"there is no column {' and no column '.join(missing)}; add it{advice}")
    findings = tuple(name.removeprefix(PROBABILITY) for name in columns if name.startswith(PROBABILITY))
    if not findings:
        raise ConfigurationError("there is no column prob_FINDING; add the probabilities, one column for each finding")
    truths = [name.removeprefix(TRUTH) for name in columns if name.startswith(TRUTH)]
    if alone := [name for name in truths if name not in findings]:
        raise ConfigurationError(
            f"there is a column truth_{alone[0]}, but no column prob_{alone[0]}; are the names alike?"
        )
    return findings


def _require(columns: Sequence[str], by: Sequence[str]) -> None:
    possible = _cohort_columns(columns)
    for name in by:
        if name == AGE_BAND and name not in possible:
            raise ConfigurationError("there is no column age_band, and none named age to make it from; add one of them")
        if name not in possible:
            known = ", ".join(possible) or "none"
            raise ConfigurationError(f"there is no column {name} to divide patients by; there are: {known}")


def _cohort_columns(columns: Sequence[str]) -> list[str]:
    found = [name for name in columns if name not in _RESERVED and not name.startswith((PROBABILITY, TRUTH))]
    return [*found, AGE_BAND] if AGE in columns and AGE_BAND not in found else found


def _check_cells(lines: pl.LazyFrame, columns: Sequence[str], findings: Sequence[str]) -> None:
    """One pass over the file: how many cells of each column are wrong, and in which line the first of them is."""
    wrong = {
        name: _number(name).is_between(0, 1).fill_null(False).not_() for name in map(PROBABILITY.__add__, findings)
    }
    truths = [name for name in columns if name.startswith(TRUTH)]
    wrong |= {name: _is_filled(name) & _number(name).is_in([0.0, 1.0]).fill_null(False).not_() for name in truths}
    wrong |= {name: _is_filled(name).not_() for name in (STUDY, PATIENT)}
    if AGE in columns:
        wrong[AGE] = _is_filled(AGE) & _number(AGE).is_between(0, _OLDEST).fill_null(False).not_()
    counted = [pl.len().alias("lines")]
    for name, test in wrong.items():
        counted += [test.sum().alias(f"count {name}"), test.arg_max().alias(f"first {name}")]
    found = lines.select(counted).collect(engine="streaming").row(0, named=True)
    if not found["lines"]:
        raise ConfigurationError("there is a header and nothing else; the file needs a line for each study")
    for name in wrong:
        if count := found[f"count {name}"]:
            line = int(found[f"first {name}"]) + 2
            raise ConfigurationError(
                f"column {name}: {count:,} of {found['lines']:,} cells {_rule(name)} (the first in line {line:,}); "
                "correct them or leave these lines out"
            )


def _rule(name: str) -> str:
    if name.startswith(PROBABILITY):
        return "are no number from 0 to 1"
    if name.startswith(TRUTH):
        return "are neither 0 nor 1 nor empty"
    return f"are no age from 0 to {_OLDEST} years" if name == AGE else "are empty"


def _is_filled(name: str) -> pl.Expr:
    return pl.col(name).fill_null("").str.strip_chars() != ""


def _number(name: str) -> pl.Expr:
    """The number in a cell; null where there is none, also for NaN and infinity."""
    number = pl.col(name).str.strip_chars().cast(pl.Float64, strict=False)
    return pl.when(number.is_finite()).then(number)


def _typed(columns: Sequence[str], findings: Sequence[str]) -> list[pl.Expr]:
    typed = [pl.col(name).str.strip_chars().hash(seed=1).alias(name) for name in (STUDY, PATIENT)]
    typed += [_number(PROBABILITY + finding).alias(PROBABILITY + finding) for finding in findings]
    truths = [name for name in columns if name.startswith(TRUTH)]
    typed += [_number(name).fill_null(TRUTH_UNKNOWN).cast(pl.Int8).alias(name) for name in truths]
    for name in _cohort_columns(columns):
        if name == AGE_BAND and name not in columns:
            typed.append(_age_band().alias(name))
        else:
            typed.append(pl.when(_is_filled(name)).then(_cohort_value(name)).otherwise(pl.lit(UNKNOWN)).alias(name))
    if DATE in columns:
        typed.append(pl.when(_is_filled(DATE)).then(pl.col(DATE).str.strip_chars()).alias(DATE))
    return typed


def _cohort_value(name: str) -> pl.Expr:
    """Without the two signs that names of cohorts are made with: `site=A & sex=M` must not be the value of a site."""
    value = pl.col(name).str.strip_chars()
    return value.str.replace_all("&", "+", literal=True).str.replace_all("=", ":", literal=True)


def _age_band() -> pl.Expr:
    """The bands of `fairness.cohorts.band_of`, from the column `age` in years."""
    age = _number(AGE)
    band = pl.lit(UNKNOWN)
    for edge in (0.0, *AGE_EDGES):
        band = pl.when(age >= edge).then(pl.lit(band_of(edge, AGE_EDGES))).otherwise(band)
    return band


def _predictions(
    path: Path, store: pl.LazyFrame, columns: Sequence[str], findings: tuple[str, ...], by: Sequence[str]
) -> PredictionsFile:
    _refuse_duplicates(store.select(STUDY).collect()[STUDY].to_numpy())
    attributes = dict(_groupings(store, _cohort_columns(columns), by))
    patients = np.unique(store.select(PATIENT).collect()[PATIENT].to_numpy(), return_inverse=True)[1]
    with_truth = frozenset(name.removeprefix(TRUTH) for name in columns if name.startswith(TRUTH))
    table = AuditTable(
        patients=patients.astype(np.int32), attributes=attributes, source=_StoredScores(store, findings, with_truth)
    )
    return PredictionsFile(table=table, window=_window(store, columns), sha256=_sha256(path))


def _refuse_duplicates(studies: NDArray[np.uint64]) -> None:
    in_order = np.sort(studies)
    doubled = int(np.count_nonzero(in_order[1:] == in_order[:-1]))
    if doubled:
        raise ConfigurationError(
            f"column study_id: {doubled:,} lines repeat the study_id of another; keep one line for each study"
        )


def _groupings(store: pl.LazyFrame, names: Sequence[str], by: Sequence[str]) -> Iterator[tuple[str, Grouping]]:
    """Every column with few enough values; those asked for first, because cohorts are named in their order."""
    for name in (*by, *(name for name in names if name not in by)):
        values = store.select(pl.col(name).unique().sort()).collect(engine="streaming")[name].to_list()
        if len(values) <= MOST_VALUES:
            codes = pl.col(name).replace_strict(values, list(range(len(values))), return_dtype=pl.Int16)
            yield name, Grouping(tuple(values), store.select(codes).collect()[name].to_numpy())
        elif name in by:
            raise ConfigurationError(
                f"column {name} has {len(values):,} different values and cohorts are made of at most {MOST_VALUES}; "
                "group its values in the file"
            )


def _window(store: pl.LazyFrame, columns: Sequence[str]) -> tuple[str, str] | None:
    if DATE not in columns:
        return None
    found = store.select(first=pl.col(DATE).min(), last=pl.col(DATE).max()).collect(engine="streaming").row(0)
    return None if found[0] is None else (str(found[0]), str(found[1]))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
