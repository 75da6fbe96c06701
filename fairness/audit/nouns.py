"""What an audit says: the nouns that `candor audit` makes, the page shows, the policy judges and reports quote.

A `Row` is one figure of one finding in one cohort; metrics.csv is nothing but rows. Where a cohort is too small to be
shown, its rows are there with a note and without a number. `Audit` adds what a reader needs to judge the rows: which
tests were made and what survives them, how many more studies would settle a question, and where it all came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from core.documents.model import KNOWN_KEYS_ONLY

ALL = "all"
SUPPRESSED = "suppressed"  # how the note of a row begins whose numbers are withheld
INSUFFICIENT = "insufficient data"
COLUMNS = ("finding", "metric", "cohort", "value", "low", "high", "n", "positives", "negatives", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure with its 95 % interval. `n` = positives + negatives where truth is needed, else images scored.

    `metric`: prevalence, auroc, sensitivity, specificity, ppv, npv, fnr_gap, fpr_gap, brier, ece, ece_debiased,
    ece_if_calibrated, flag_rate, psi, ks; against another model auroc_difference, sensitivity_difference and
    specificity_difference. `cohort`: "all", "view=AP", "sex=F & age_band=60-79". A gap is the cohort's
    rate minus that of the rest of the patients.
    """

    __pydantic_config__ = KNOWN_KEYS_ONLY

    finding: str
    metric: str
    cohort: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    positives: int | None = None
    negatives: int | None = None
    note: str = ""

    @property
    def is_withheld(self) -> bool:
        return self.note.startswith(SUPPRESSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One bin of a reliability curve: mean probability, share of positives with Wilson's interval, images."""

    __pydantic_config__ = KNOWN_KEYS_ONLY

    probability: float
    observed: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The reliability curve of one finding in one cohort."""

    __pydantic_config__ = KNOWN_KEYS_ONLY

    finding: str
    cohort: str
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """A gap compared with chance: its p value, and what is left of it among all tests of the audit.

    `p_holm` under 0.05 is an alarm; `q` (Benjamini-Hochberg) under 0.05 is worth a look.
    """

    __pydantic_config__ = KNOWN_KEYS_ONLY

    finding: str
    metric: str
    cohort: str
    gap: float
    p: float
    p_holm: float
    q: float

    @property
    def is_alarm(self) -> bool:
        return self.p_holm < 0.05

    @property
    def is_worth_a_look(self) -> bool:
        return self.q < 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """How many more studies until we know. `missing`: positives (or negatives) still needed; 0: enough."""

    __pydantic_config__ = KNOWN_KEYS_ONLY

    finding: str
    metric: str
    cohort: str
    needed: int
    missing: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """The threshold on the probability that an audit judged by, and who chose it."""

    __pydantic_config__ = KNOWN_KEYS_ONLY

    finding: str
    value: float
    source: str  # "option", "operating point of chest_radiograph 0.2.0", "default: no threshold was chosen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A way of dividing patients: its cohorts and for which share of images it is not known (None: withheld)."""

    __pydantic_config__ = KNOWN_KEYS_ONLY

    name: str
    values: tuple[str, ...]
    missing_rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where an audit came from. Times are ISO 8601, UTC; `window` is the first and the last day of the studies."""

    __pydantic_config__ = KNOWN_KEYS_ONLY

    code_version: str
    made_at: str
    source: str  # "predictions.csv", "this site's verified reads"
    input_sha256: str = ""
    model_name: str = ""
    model_version: str = ""
    model_sha256: str = ""
    window: tuple[str, str] | None = None
    truth_source: str = ""
    rows: int = 0
    patients: int = 0
    patients_repeat: bool = False
    tests: int = 0
    bootstrap_draws: int = 0
    seed: int = 0
    smallest_cell: int = 11
    attributes: tuple[Attribute, ...] = ()
    thresholds: tuple[Threshold, ...] = ()
    remarks: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    """What is odd about the table that the audit was made from, before any figure of it is believed."""


@dataclass(frozen=True, kw_only=True)
class Audit:
    """A whole audit."""

    provenance: Provenance
    rows: tuple[Row, ...]
    tests: tuple[Test, ...] = ()
    curves: tuple[Curve, ...] = ()
    advice: tuple[Advice, ...] = ()

    @property
    def findings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(row.finding for row in self.rows))

    @property
    def cohorts(self) -> tuple[str, ...]:
        """As they come in the rows: `all`, then each attribute, then the intersections."""
        return tuple(dict.fromkeys(row.cohort for row in self.rows))

    @property
    def alarms(self) -> tuple[Test, ...]:
        """The gaps that survive Holm over all tests of this audit."""
        return tuple(test for test in self.tests if test.is_alarm)

    @property
    def certain_gaps(self) -> tuple[Test, ...]:
        """The gaps that survive Holm where a cohort fares worse: what terminal and page count.

        That AP misses more and that PA misses fewer is one gap.
        """
        return tuple(test for test in self.alarms if test.gap > 0)

    def row(self, finding: str, metric: str, cohort: str = ALL) -> Row | None:
        """One figure; None when this audit does not speak of it."""
        return self._row_at.get((finding, metric, cohort))

    @cached_property
    def _row_at(self) -> dict[tuple[str, str, str], Row]:
        return {(row.finding, row.metric, row.cohort): row for row in self.rows}
