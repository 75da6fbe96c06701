"""What an audit can say of a service from its first day, without any ground truth, cohort by cohort.

How often a study failed or could not be analysed, how long reports took, how often readers who saw the AI disagreed
with it, and whether the last 30 days look like the time before. They stand beside the figures of `fairness.measure` as
rows; what belongs to no one finding is filed under "any finding".

Small numbers: a share of fewer than 11 studies, or of 1 to 10 events (or non-events), is withheld, and where that hides
a single cohort of an attribute, the next smallest too, so that no subtraction from all patients brings it back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.stats import binom, ks_2samp

from core.domain import ReportStatus
from core.readings import Reading
from core.statistics import wilson
from fairness.audit import SUPPRESSED, Row
from fairness.cohorts import ALL, cohort_name
from fairness.drift import FEWEST, psi, psi_by_chance
from fairness.truth import Settled

ANY_FINDING = "any_finding"
SMALLEST_CELL = 11
RECENT_DAYS = 30
_RECENT_SECONDS = RECENT_DAYS * 24 * 3600.0
Attributes = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _Group:
    """The readings of one cohort; `attribute` is "" for all patients."""

    attribute: str
    cohort: str
    readings: Sequence[Reading]


def service_rows(
    readings: Sequence[Reading], truth: Settled, attributes: Attributes, by: Sequence[str], *, until: float
) -> list[Row]:
    """Rows for all patients and each value of each attribute in `by`; `until`: the end of the last 30 days."""
    groups = list(_groups(readings, attributes, by))
    findings = list(dict.fromkeys(finding for made in readings for finding in made.flags))
    rows = [
        *_shares(groups, ANY_FINDING, "failure_rate", lambda made: made.status is ReportStatus.FAILED),
        *_shares(groups, ANY_FINDING, "not_analysed_rate", lambda made: made.status is ReportStatus.NOT_ANALYSED),
        *(_turnaround(group) for group in groups),
    ]
    for finding in findings:
        rows += _shares(groups, finding, "override_rate", partial(_is_overridden, truth, finding))
        rows += [row for group in groups for row in _recent(group, finding, until)]
    return rows


def _groups(readings: Sequence[Reading], attributes: Attributes, by: Sequence[str]) -> Iterator[_Group]:
    yield _Group("", ALL, readings)
    for name in by:
        members: defaultdict[str, list[Reading]] = defaultdict(list)
        for made in readings:
            members[attributes[made.study_id][name]].append(made)
        yield from (_Group(name, cohort_name({name: value}), members[value]) for value in sorted(members))


def _is_overridden(truth: Settled, finding: str, made: Reading) -> bool | None:
    """Whether a reader who had seen the AI said otherwise; None when nobody did, or had not seen it."""
    answer = truth.get((made.study_id, finding))
    if answer is None or not answer.ai_seen or finding not in made.flags:
        return None
    return answer.value != made.flags[finding]


def _shares(
    groups: Iterable[_Group], finding: str, metric: str, happened: Callable[[Reading], bool | None]
) -> list[Row]:
    rows = []
    for group in groups:
        known = [one for made in group.readings if (one := happened(made)) is not None]
        if known:
            found = wilson(sum(known), len(known))
            row = Row(
                finding=finding,
                metric=metric,
                cohort=group.cohort,
                value=found.value,
                low=found.low,
                high=found.high,
                n=len(known),
            )
            rows.append((group.attribute, sum(known), row))
    return _without_small(rows)


def _without_small(rows: Sequence[tuple[str, int, Row]]) -> list[Row]:
    """Withhold small cells, and with a lonely one the next smallest of its attribute."""
    hidden = {row.cohort for _, events, row in rows if row.cohort != ALL and _is_small(events, row.n or 0)}
    for attribute in {attribute for attribute, _, _ in rows if attribute}:
        mine = [row for name, _, row in rows if name == attribute]
        if sum(row.cohort in hidden for row in mine) == 1 and len(mine) > 1:
            hidden.add(min((row for row in mine if row.cohort not in hidden), key=lambda row: row.n or 0).cohort)
    return [_withheld(row) if row.cohort in hidden else row for _, _, row in rows]


def _is_small(events: int, of: int) -> bool:
    return of < SMALLEST_CELL or 0 < events < SMALLEST_CELL or 0 < of - events < SMALLEST_CELL


def _withheld(row: Row) -> Row:
    return replace(row, value=None, low=None, high=None, n=None, note=f"{SUPPRESSED}: too few to be shown")


def _turnaround(group: _Group) -> Row:
    """The median from last image to report, with the interval of its order statistics."""
    row = Row(finding=ANY_FINDING, metric="turnaround_seconds", cohort=group.cohort)
    seconds = sorted(made.turnaround_seconds for made in group.readings if made.turnaround_seconds is not None)
    if len(seconds) < SMALLEST_CELL:
        return _withheld(row)
    low, high = (int(binom.ppf(share, len(seconds), 0.5)) for share in (0.025, 0.975))
    middle = float(np.median(seconds))
    return replace(row, value=middle, low=seconds[max(0, low - 1)], high=seconds[min(high, len(seconds) - 1)])


def _recent(group: _Group, finding: str, until: float) -> Iterator[Row]:
    """The last 30 days against the time before: PSI, and Kolmogorov-Smirnov's distance."""
    scored = [made for made in group.readings if finding in made.probabilities]
    split = until - _RECENT_SECONDS
    before = np.array([made.probabilities[finding] for made in scored if made.read_at < split])
    now = np.array([made.probabilities[finding] for made in scored if made.read_at >= split])
    if min(len(before), len(now)) < FEWEST:
        return
    test = ks_2samp(before, now)
    chance = psi_by_chance(len(before), len(now))
    facts = Row(finding=finding, metric="", cohort=group.cohort, n=len(now))
    days = f"last {RECENT_DAYS} days against {len(before)} studies before"
    yield replace(facts, metric="psi_recent", value=psi(before, now), note=f"{days}; by chance up to {chance:.3f}")
    yield replace(facts, metric="ks_recent", value=float(test.statistic), note=f"{days}; p {float(test.pvalue):.2g}")
