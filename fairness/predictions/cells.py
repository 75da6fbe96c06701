"""What the cells of a table of predictions say: numbers, ages, dates, and the values that divide patients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from core.errors import ConfigurationError
from fairness.audit.table import TRUTH_UNKNOWN
from fairness.cohorts import AGE_EDGES, UNKNOWN, band_of

STUDY, PATIENT, AGE, AGE_BAND, DATE = "study_id", "patient_id", "age", "age_band", "study_date"
PROBABILITY, TRUTH = "prob_", "truth_"
OLDEST = 150
UNCERTAIN = {"positive": 1, "negative": 0, "unknown": TRUTH_UNKNOWN}
"""What a truth of -1 may count as; without a choice it is refused, because the three give three sensitivities."""

SEXES = frozenset({"sex", "gender", "patient_sex", "patientsex"})
_SEX = {"f": "F", "female": "F", "m": "M", "male": "M", "o": "O", "other": "O"}
_NOT_KNOWN = ("nan", "NaN", "NAN", "None", "NULL", "null", "N/A", "n/a", "#N/A", "<NA>", "unknown", "Unknown", UNKNOWN)
_NOT_KNOWN_WITH_BLANKS = ("NA", "na")  # alone it is a value: Namibia, or a "not applicable" that was meant
_TRUTHS = {"true": 1.0, "yes": 1.0, "positive": 1.0, "false": 0.0, "no": 0.0, "negative": 0.0}
_DICOM_AGE = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}  # PS3.5 6.2, AS: units in a year
_DATES = {
    r"^\d{4}-\d{2}-\d{2}": "%Y-%m-%d",
    r"^\d{4}/\d{2}/\d{2}": "%Y/%m/%d",
    r"^\d{8}": "%Y%m%d",  # PS3.5 6.2, DA
    r"^\d{2}\.\d{2}\.\d{4}": "%d.%m.%Y",
}
_NO_PROBABILITY = "are no number from 0 to 1, as percent and logits are not"
_TIME = r"(?:[ T][0-9:.,+Z-]*)?$"


@dataclass(frozen=True, slots=True, kw_only=True)
class HowToRead:
    """What a person states about a table: where age bands begin, what a truth of -1 counts as ("": it is refused).

    `only_asked`: nothing is withheld, so columns that were not asked for are not looked at.
    """

    age_edges: tuple[float, ...] = AGE_EDGES
    uncertain: str = ""
    only_asked: bool = False

    def __post_init__(self) -> None:
        edges = list(self.age_edges)
        if edges != sorted(set(edges)) or not all(0 < edge < OLDEST for edge in edges) or not edges:
            raise ConfigurationError(f"age bands begin at rising ages between 0 and {OLDEST}, such as 18,40,65")
        if self.uncertain not in ("", *UNCERTAIN):
            raise ConfigurationError(f"an uncertain truth counts as {', '.join(UNCERTAIN)}")


def is_filled(name: str) -> pl.Expr:
    """Whether a cell holds more than blanks."""
    return pl.col(name).fill_null("").str.strip_chars() != ""


def number(name: str) -> pl.Expr:
    """The number in a cell; null where there is none, also for NaN and infinity."""
    found = pl.col(name).str.strip_chars().cast(pl.Float64, strict=False)
    return pl.when(found.is_finite()).then(found)


def age_years() -> pl.Expr:
    """The age in years, from a number or as DICOM writes it (045Y, 018M); null where there is none."""
    text = pl.col(AGE).str.strip_chars()
    count = text.str.extract(r"^(\d{1,3})[YMWD]$").cast(pl.Float64, strict=False)
    unit = text.str.extract(r"^\d{1,3}([YMWD])$").replace_strict(_DICOM_AGE, default=None, return_dtype=pl.Float64)
    return pl.coalesce(number(AGE), count / unit)


def date() -> pl.Expr:
    """The study date; null where a cell holds none. A time after it is not read."""
    text = pl.col(DATE).str.strip_chars()
    readings = [
        text.str.extract(f"({pattern}){_TIME}").str.to_date(form, strict=False) for pattern, form in _DATES.items()
    ]
    return pl.coalesce(readings)


def truth(name: str, uncertain: str) -> pl.Expr:
    """1, 0, or -1 where the truth is not known; null where a cell holds none of these."""
    word = pl.col(name).str.strip_chars().str.to_lowercase()
    stated = pl.coalesce(number(name), word.replace_strict(_TRUTHS, default=None, return_dtype=pl.Float64))
    found = pl.when(is_not_known(name) | is_na(name)).then(TRUTH_UNKNOWN).otherwise(stated)
    said = pl.when(is_filled(name) & (number(name) == -1)).then(UNCERTAIN.get(uncertain)).otherwise(found)
    return pl.when(said.is_in([1.0, 0.0, float(TRUTH_UNKNOWN)])).then(said).cast(pl.Int8)


def age_band(edges: Sequence[float]) -> pl.Expr:
    """The bands of `fairness.cohorts.band_of`, from the column `age`."""
    band = pl.lit(UNKNOWN)
    for edge in (0.0, *edges):
        band = pl.when(age_years() >= edge).then(pl.lit(band_of(edge, edges))).otherwise(band)
    return band


def is_not_known(name: str) -> pl.Expr:
    """Whether a cell is blank or one of the words that programs write for a missing value."""
    return is_filled(name).not_() | pl.col(name).str.strip_chars().is_in(_NOT_KNOWN)


def is_na(name: str) -> pl.Expr:
    """Whether a cell is NA, which is a missing value only in a column that has others."""
    return pl.col(name).str.strip_chars().is_in(_NOT_KNOWN_WITH_BLANKS)


def cohort_value(name: str, *, na_is_missing: bool) -> pl.Expr:
    """The value that divides patients; UNKNOWN where it is not known, F, M or O in a column of sexes.

    Without the two signs that names of cohorts are made with: `site=A & sex=M` must not be the value of a site.
    """
    value = pl.col(name).str.strip_chars()
    shown = value.str.replace_all("&", "+", literal=True).str.replace_all("=", ":", literal=True)
    if name.lower() in SEXES:
        shown = value.str.to_lowercase().replace_strict(_SEX, default=shown, return_dtype=pl.String)
    missing = is_not_known(name) | is_na(name) if na_is_missing else is_not_known(name)
    return pl.when(missing).then(pl.lit(UNKNOWN)).otherwise(shown)


def faults(columns: Sequence[str], findings: Sequence[str], uncertain: str) -> Iterator[tuple[str, pl.Expr, str]]:
    """For each column that is checked: which cells are wrong, and the rule in words."""
    for finding in findings:
        name = PROBABILITY + finding
        yield name, number(name).is_between(0, 1).fill_null(False).not_(), _NO_PROBABILITY
    for name in columns:
        if name.startswith(TRUTH):
            rule = "are neither 0 nor 1 nor empty" + ("" if uncertain else "; say --uncertain where -1 means that")
            yield name, truth(name, uncertain).is_null(), rule
    for name in (STUDY, PATIENT):
        yield name, is_filled(name).not_(), "are empty"
    if AGE in columns:
        wrong = is_not_known(AGE).not_() & age_years().is_between(0, OLDEST).fill_null(False).not_()
        yield AGE, wrong, f"are no age from 0 to {OLDEST} years"
    if DATE in columns:
        yield DATE, is_not_known(DATE).not_() & date().is_null(), "are no date, such as 2026-01-31 or 20260131"
