"""The policy of a site: which figures of an audit it will not live with, as a TOML file.

An audit is judged by it when a model is registered, and each month's sensitivity is held against its floor.

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

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound and what happens when it does not hold."""

    bound: float
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Floors for lower bounds and limits for gaps, by metric; `insufficient` judges cohorts with too little data."""

    floors: dict[str, Limit] = field(default_factory=dict)
    gaps: dict[str, Limit] = field(default_factory=dict)
    insufficient: Level = Level.OK


DEFAULT = Policy(
    floors={"sensitivity": Limit(0.70, Level.WARN)},
    gaps={"sensitivity": Limit(0.10, Level.WARN), "specificity": Limit(0.10, Level.WARN)},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The worst level that anything came to, and for each thing that did not hold a sentence, the worst first."""

    level: Level
    reasons: tuple[str, ...] = ()


def judge(audit: Audit, policy: Policy) -> Verdict:
    """Hold every figure of an audit against a policy; the reasons name finding, cohort and figure."""
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
        return parse_policy(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def parse_policy(document: Mapping[str, Any]) -> Policy:
    """The policy of a TOML document; ConfigurationError names the entry that is wrong."""
    _only(document, ("floors", "gaps", "insufficient"), "the policy")
    insufficient = document.get("insufficient", {})
    _only(insufficient, ("level",), "[insufficient]")
    return Policy(
        floors=_limits(document.get("floors", {}), "floors", "lower_bound", FLOORS),
        gaps=_limits(document.get("gaps", {}), "gaps", "at_most", tuple(GAPS)),
        insufficient=_level(insufficient.get("level", "ok"), "[insufficient]"),
    )


def _under_floors(audit: Audit, policy: Policy) -> Iterator[tuple[Level, str]]:
    for row in audit.rows:
        limit = policy.floors.get(row.metric)
        if limit and row.low is not None and not is_unknown(row) and row.low < limit.bound:
            yield (
                limit.level,
                f"{row.finding}, {cohort_in_words(row.cohort)}: the lower bound of {row.metric} is {row.low:.2f}, "
                f"under {limit.bound:.2f}",
            )


def _over_gaps(audit: Audit, policy: Policy) -> Iterator[tuple[Level, str]]:
    limits = {GAPS[metric]: (metric, limit) for metric, limit in policy.gaps.items()}
    for test in audit.alarms:
        metric, limit = limits.get(test.metric, ("", None))
        if limit and abs(test.gap) > limit.bound:
            more = "lower" if test.gap > 0 else "higher"  # the gap is one of misses or of false alarms
            yield (
                limit.level,
                f"{test.finding}, {cohort_in_words(test.cohort)}: {metric} is {abs(test.gap):.2f} {more} than in the "
                f"other patients, over {limit.bound:.2f} ({p_value(test.p_holm)} after Holm)",
            )


def _unknown(audit: Audit, policy: Policy) -> Iterator[tuple[Level, str]]:
    for row in audit.rows:
        if row.metric in policy.floors and is_unknown(row):
            words = f"{row.finding}, {cohort_in_words(row.cohort)}: too little data to judge {row.metric}"
            yield policy.insufficient, words


def is_unknown(row: Row) -> bool:
    """Whether too little is known of a cohort for its figure to count."""
    return row.low is None or row.note.startswith((SUPPRESSED, INSUFFICIENT))


def _limits(table: Any, name: str, bound: str, known: Sequence[str]) -> dict[str, Limit]:
    _only(table, known, f"[{name}]")
    limits = {}
    for metric, entry in table.items():
        where = f"[{name}.{metric}]"
        _only(entry, (bound, "level"), where)
        value = entry.get(bound)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
            raise ConfigurationError(f"{where}: {bound} must be a number from 0 to 1")
        limits[metric] = Limit(float(value), _level(entry.get("level", "warn"), where))
    return limits


def _level(value: object, where: str) -> Level:
    if value not in tuple(Level):
        raise ConfigurationError(f"{where}: level must be one of {', '.join(Level)}")
    return Level(str(value))


def _only(table: object, known: Sequence[str], where: str) -> None:
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where} must be a table")
    if unknown := sorted(set(table) - set(known)):
        raise ConfigurationError(f"{where}: there is no {', '.join(unknown)}; there are {', '.join(known)}")
