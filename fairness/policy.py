"""The policy of a site: which figures of an audit it will not live with, as a TOML file.

An audit is judged by it when a model is registered, and each month's sensitivity is compared with its floor.

    [floors.sensitivity]         # the lower bound of the 95 % interval, in every cohort with enough data
    lower_bound = 0.70
    level = "block"              # or "warn"

    [gaps.sensitivity]           # differences between cohorts that survive Holm's correction
    at_most = 0.10
    level = "warn"

    [insufficient]               # cohorts of which too little is known to judge them
    level = "ok"                 # or "warn", "block"

Floors may stand for sensitivity, specificity, ppv, npv and auroc; gaps for sensitivity and specificity. What the file
does not name is not judged. Without a file `DEFAULT` holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from core.documents.model import KnowsAllKeys, Share, one_of
from core.documents.reading import read_toml
from core.errors import ConfigurationError
from core.wording import cohort_in_words, p_value
from fairness.audit.nouns import INSUFFICIENT, SUPPRESSED, Audit, Row

FLOORS = ("sensitivity", "specificity", "ppv", "npv", "auroc")
GAPS = {"sensitivity": "fnr_gap", "specificity": "fpr_gap"}  # the audit's words for them


class Level(StrEnum):
    """What a verdict comes to, from good to bad."""

    OK = "ok"
    WARN = "warn"
    BLOCK = "block"


class Floor(KnowsAllKeys):
    """The least lower bound, and what happens when it is not reached."""

    lower_bound: Share
    level: Level = Level.WARN


class GapLimit(KnowsAllKeys):
    """The largest difference between cohorts, and what happens when it is larger."""

    at_most: Share
    level: Level = Level.WARN


class Insufficient(KnowsAllKeys):
    """What happens where too little is known."""

    level: Level = Level.OK


class Policy(KnowsAllKeys):
    """Floors for lower bounds and limits for gaps, by metric; `insufficient` judges cohorts with too little data."""

    noun: ClassVar[str] = "a fairness policy"

    floors: dict[Annotated[str, AfterValidator(one_of(FLOORS))], Floor] = Field(default_factory=dict)
    gaps: dict[Annotated[str, AfterValidator(one_of(GAPS))], GapLimit] = Field(default_factory=dict)
    insufficient: Insufficient = Insufficient()


DEFAULT = Policy(
    floors={"sensitivity": Floor(lower_bound=0.70)},
    gaps={"sensitivity": GapLimit(at_most=0.10), "specificity": GapLimit(at_most=0.10)},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The worst level that anything came to, and for each thing that did not hold a sentence, the worst first."""

    level: Level
    reasons: tuple[str, ...] = ()


def judge(audit: Audit, policy: Policy) -> Verdict:
    """Judge every figure of an audit by a policy; the reasons name finding, cohort and figure."""
    found = [*_under_floors(audit, policy), *_over_gaps(audit, policy), *_unknown(audit, policy)]
    order = list(Level)
    worst_first = sorted((one for one in found if one[0] is not Level.OK), key=lambda one: -order.index(one[0]))
    return Verdict(
        level=worst_first[0][0] if worst_first else Level.OK,
        reasons=tuple(f"{level}: {words}" for level, words in worst_first),
    )


def load_policy(path: Path | None) -> Policy:
    """The policy in a file, the default when there is none; ConfigurationError says what is wrong, and where."""
    if path is None or not path.exists():
        return DEFAULT
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    return read_toml(Policy, text, str(path))


def _under_floors(audit: Audit, policy: Policy) -> Iterator[tuple[Level, str]]:
    for row in audit.rows:
        limit = policy.floors.get(row.metric)
        if limit and row.low is not None and not is_unknown(row) and row.low < limit.lower_bound:
            yield (
                limit.level,
                f"{row.finding}, {cohort_in_words(row.cohort)}: the lower bound of {row.metric} is {row.low:.2f}, "
                f"under {limit.lower_bound:.2f}",
            )


def _over_gaps(audit: Audit, policy: Policy) -> Iterator[tuple[Level, str]]:
    limits = {GAPS[metric]: (metric, limit) for metric, limit in policy.gaps.items()}
    for test in audit.alarms:
        metric, limit = limits.get(test.metric, ("", None))
        if limit and abs(test.gap) > limit.at_most:
            more = "lower" if test.gap > 0 else "higher"  # the gap is one of misses or of false alarms
            yield (
                limit.level,
                f"{test.finding}, {cohort_in_words(test.cohort)}: {metric} is {abs(test.gap):.2f} {more} than in the "
                f"other patients, over {limit.at_most:.2f} ({p_value(test.p_holm)} after Holm)",
            )


def _unknown(audit: Audit, policy: Policy) -> Iterator[tuple[Level, str]]:
    for row in audit.rows:
        if row.metric in policy.floors and is_unknown(row):
            words = f"{row.finding}, {cohort_in_words(row.cohort)}: too little data to judge {row.metric}"
            yield policy.insufficient.level, words


def is_unknown(row: Row) -> bool:
    """Whether too little is known of a cohort for its figure to count."""
    return row.low is None or row.note.startswith((SUPPRESSED, INSUFFICIENT))
