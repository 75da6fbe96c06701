"""Predictions of any model in a CSV file, checked and made ready for an audit in bounded memory.

Columns: study_id, patient_id, prob_<finding> and truth_<finding> (0, 1 or empty) for each finding, age if there is one,
study_date (for the window) if there is one; every other column with few values divides patients into cohorts. The file
is read twice as a stream, once to check it and once into a column store in a temporary folder, where study and patient
are hashes. An error never shows a value of a cell.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from core.errors import ConfigurationError
from fairness.audit.table import TRUTH_UNKNOWN, AuditTable, Scores
from fairness.grouping import Grouping
from fairness.predictions import cells
from fairness.predictions.cells import AGE, AGE_BAND, DATE, PATIENT, PROBABILITY, STUDY, TRUTH, HowToRead
from fairness.predictions.limits import header_of

MOST_VALUES = 64
_RESERVED = (STUDY, PATIENT, AGE, DATE)
_MOST_CELLS = 4_000_000  # cohorts of all columns and of every two, which a withheld cell is hidden among
_LINE = "\0line"


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionsFile:
    """A checked file: its table, the first and last study date if there were any, and its SHA-256.

    `lines`: the cells as they are in the file. `studies`: a hash of each study_id, in the order of the table.
    """

    path: Path
    columns: tuple[str, ...]
    how: HowToRead
    table: AuditTable
    window: tuple[str, str] | None
    sha256: str
    studies: NDArray[np.uint64] = field(repr=False)

    @property
    def lines(self) -> pl.LazyFrame:
        return _scanned(self.path)


@contextmanager
def open_predictions(path: Path, by: Sequence[str], how: HowToRead | None = None) -> Iterator[PredictionsFile]:
    """The table of a CSV file, for as long as the context is open; its columns are in a temporary folder meanwhile.

    Raises ConfigurationError, which says what is wrong with the file and what to do.
    """
    how = how or HowToRead()
    header_of(path)
    with tempfile.TemporaryDirectory(prefix="candor-audit-") as folder:
        try:
            lines = _scanned(path)
            columns = lines.collect_schema().names()
            findings = _findings(columns)
            _require(columns, by, how)
            with_missing = _check_cells(lines, columns, findings, how)
            store = Path(folder) / "columns.parquet"
            lines.select(_typed(columns, findings, how, with_missing)).sink_parquet(store)
            yield _predictions(path, pl.scan_parquet(store, glob=False), columns, findings, by, how)
        except pl.exceptions.PolarsError as error:
            raise ConfigurationError(
                f"{path.name} is not a CSV file with a header and as many cells in each line; export it again "
                "as comma-separated UTF-8"
            ) from error


def _scanned(path: Path) -> pl.LazyFrame:
    """The cells of the file as text; its name is a name, never a pattern or an address."""
    return pl.scan_csv(path.absolute(), infer_schema=False, glob=False)


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


def _require(columns: Sequence[str], by: Sequence[str], how: HowToRead) -> None:
    possible = _cohort_columns(columns)
    if AGE_BAND in columns and how.age_edges != HowToRead().age_edges:
        raise ConfigurationError("the file has age bands of its own (age_band); leave --age-bands out, or the column")
    for name in by:
        if name == AGE_BAND and name not in possible:
            raise ConfigurationError("there is no column age_band, and none named age to make it from; add one of them")
        if name not in possible:
            known = ", ".join(possible) or "none"
            raise ConfigurationError(f"there is no column {name} to divide patients by; there are: {known}")


def _cohort_columns(columns: Sequence[str]) -> list[str]:
    found = [name for name in columns if name and name not in _RESERVED and not name.startswith((PROBABILITY, TRUTH))]
    return [*found, AGE_BAND] if AGE in columns and AGE_BAND not in found else found


def _check_cells(
    lines: pl.LazyFrame, columns: Sequence[str], findings: Sequence[str], how: HowToRead
) -> frozenset[str]:
    """One pass over the file: how many cells of each column are wrong, and in which line the first of them is.

    Returns the columns in which some value is not known.
    """
    rules = list(cells.faults(columns, findings, how.uncertain))
    counted = [pl.len().alias("lines")]
    for name, wrong, _ in rules:
        counted += [wrong.sum().alias(f"count {name}"), _first(wrong).alias(f"first {name}")]
    dividing = [name for name in _cohort_columns(columns) if name in columns]
    counted += [cells.is_not_known(name).any().alias(f"missing {name}") for name in dividing]
    found = lines.with_row_index(_LINE, 2).select(counted).collect(engine="streaming").row(0, named=True)
    if not found["lines"]:
        raise ConfigurationError("there is a header and nothing else; the file needs a line for each study")
    for name, _, rule in rules:
        if count := found[f"count {name}"]:
            raise ConfigurationError(
                f"column {name}: {count:,} of {found['lines']:,} cells {rule} (the first in line "
                f"{found[f'first {name}']:,}); correct them or leave these lines out"
            )
    return frozenset(name for name in dividing if found[f"missing {name}"])


def _first(wrong: pl.Expr) -> pl.Expr:
    return pl.when(wrong).then(pl.col(_LINE)).min()


def _typed(
    columns: Sequence[str], findings: Sequence[str], how: HowToRead, with_missing: frozenset[str]
) -> list[pl.Expr]:
    typed = [pl.col(name).str.strip_chars().hash(seed=1).alias(name) for name in (STUDY, PATIENT)]
    typed += [cells.number(PROBABILITY + finding).alias(PROBABILITY + finding) for finding in findings]
    typed += [cells.truth(name, how.uncertain).alias(name) for name in columns if name.startswith(TRUTH)]
    for name in _cohort_columns(columns):
        if name == AGE_BAND and name not in columns:
            typed.append(cells.age_band(how.age_edges).alias(name))
        else:
            typed.append(cells.cohort_value(name, na_is_missing=name in with_missing).alias(name))
    if DATE in columns:
        typed.append(cells.date().alias(DATE))
    return typed


def _predictions(
    path: Path,
    store: pl.LazyFrame,
    columns: Sequence[str],
    findings: tuple[str, ...],
    by: Sequence[str],
    how: HowToRead,
) -> PredictionsFile:
    studies = store.select(STUDY).collect()[STUDY].to_numpy()
    _refuse_duplicates(studies)
    dividing = by if how.only_asked else _cohort_columns(columns)
    attributes = dict(_groupings(store, dividing, by))
    _refuse_too_many_cells(attributes)
    patients = np.unique(store.select(PATIENT).collect()[PATIENT].to_numpy(), return_inverse=True)[1]
    with_truth = frozenset(name.removeprefix(TRUTH) for name in columns if name.startswith(TRUTH))
    table = AuditTable(
        patients=patients.astype(np.int32), attributes=attributes, source=_StoredScores(store, findings, with_truth)
    )
    return PredictionsFile(
        path=path,
        columns=tuple(columns),
        how=how,
        table=table,
        window=_window(store, columns),
        sha256=_sha256(path),
        studies=studies,
    )


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


def _refuse_too_many_cells(attributes: dict[str, Grouping]) -> None:
    sizes = [len(grouping.values) for grouping in attributes.values()]
    pairs = (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
    if pairs > _MOST_CELLS:
        raise ConfigurationError(
            f"{len(sizes)} columns divide the patients, into {pairs:,} cohorts of two attributes; leave columns out "
            "that are not asked for, or group their values"
        )


def _window(store: pl.LazyFrame, columns: Sequence[str]) -> tuple[str, str] | None:
    if DATE not in columns:
        return None
    found = store.select(first=pl.col(DATE).min(), last=pl.col(DATE).max()).collect(engine="streaming").row(0)
    return None if found[0] is None else (found[0].isoformat(), found[1].isoformat())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
