"""What an audit can say of a service from its first day, without any ground truth, cohort by cohort.

How often a study failed or could not be analysed, how long reports took, how often readers who saw the AI disagreed
with it, and whether the last 30 days look like the time before. They are added to the figures of
`fairness.audit.metrics` as rows; what belongs to no one finding is filed under "any finding".

Small numbers: what is withheld is decided in `fairness.service.suppression`, from the audit's own mask on. Of a single
cohort's last 30 days no number is shown at all, nor a figure from which one could be worked out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.stats import binom, ks_2samp

from core.domain.reading import ReadingRecord
from core.domain.report import ReportStatus
from core.statistics.proportions import wilson
from core.statistics.stability import population_stability
from core.wording import p_value
from fairness.audit.nouns import SUPPRESSED, Audit, Row
from fairness.audit.run import GAPS, WITH_TRUTH, WITHOUT_TRUTH
from fairness.cohorts import ALL, cohort_name
from fairness.service.drift import CHANCE, FEWEST, Floats, psi_by_chance
from fairness.service.suppression import Cells, Places
from fairness.service.truth import Settled
from fairness.suppression.withhold import Withheld

ANY_FINDING = "any_finding"
RECENT_DAYS = 30
_RECENT_SECONDS = RECENT_DAYS * 24 * 3600.0
Attributes = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class _Group:
    """The readings of one cohort."""

    cohort: str
    readings: Sequence[ReadingRecord]


class _Service:
    """The readings of a service in their cohorts, and what the audit withholds."""

    def __init__(
        self, readings: Sequence[ReadingRecord], attributes: Attributes, by: Sequence[str], rows: Sequence[Row]
    ):
        self.readings = readings
        self.cells = Cells(readings, attributes, by)
        self.groups = list(_groups(readings, attributes, by))
        self.rows = rows

    def places(self, happened: Callable[[ReadingRecord], bool | None], wanted: bool = True) -> Places:
        """Which readings it happened to, or (`wanted` False) did not; none of those where it is not known."""
        return np.flatnonzero([happened(made) is wanted for made in self.readings])

    def hidden(self, finding: str, metrics: Container[str]) -> Withheld:
        """What the audit withholds of a finding (ANY_FINDING: of any of them) in these metrics."""
        mine = (row for row in self.rows if finding in (ANY_FINDING, row.finding) and row.metric in metrics)
        return self.cells.hidden_in(mine)

    def mentioned(self, withheld: Withheld) -> Iterator[tuple[_Group, bool]]:
        """The cohorts that may be mentioned, and whether their figures are shown."""
        shown = self.cells.is_shown(withheld)
        yield from ((group, shown[group.cohort]) for group in self.groups if group.cohort in shown)


def service_rows(
    readings: Sequence[ReadingRecord],
    truth: Settled,
    attributes: Attributes,
    by: Sequence[str],
    audit: Audit,
    *,
    until: float,
) -> list[Row]:
    """Rows for all patients and each value of each attribute in `by`, of the findings of their audit.

    `until`: the end of the last 30 days, in seconds since the epoch.
    """
    service = _Service(readings, attributes, by, audit.rows)
    rows = [*_states(service), *_turnaround(service)]
    for finding in audit.findings:
        rows += _overrides(service, finding, truth)
        rows += _recent(service, finding, until)
    return rows


def _groups(readings: Sequence[ReadingRecord], attributes: Attributes, by: Sequence[str]) -> Iterator[_Group]:
    yield _Group(ALL, readings)
    for name in by:
        members: defaultdict[str, list[ReadingRecord]] = defaultdict(list)
        for made in readings:
            members[attributes[made.study_id][name]].append(made)
        yield from (_Group(cohort_name({name: value}), members[value]) for value in sorted(members))


def _states(service: _Service) -> Iterator[Row]:
    """Failed and not analysed, withheld together: from one and the audit's own number the other could be worked out."""
    states = [service.places(partial(_is_in, state)) for state in ReportStatus]
    withheld = service.cells.withheld(
        service.places(lambda _: True), states, service.hidden(ANY_FINDING, WITHOUT_TRUTH)
    )
    for metric, state in (("failure_rate", ReportStatus.FAILED), ("not_analysed_rate", ReportStatus.NOT_ANALYSED)):
        for group, is_shown in service.mentioned(withheld):
            yield _share(ANY_FINDING, metric, group, [made.status is state for made in group.readings], is_shown)


def _is_in(state: ReportStatus, made: ReadingRecord) -> bool:
    return made.status is state


def _overrides(service: _Service, finding: str, truth: Settled) -> Iterator[Row]:
    said = partial(_is_overridden, truth, finding)
    parts = [service.places(said, one) for one in (True, False)]
    known = np.sort(np.concatenate(parts))
    withheld = service.cells.withheld(known, parts, service.hidden(finding, (*WITHOUT_TRUTH, *WITH_TRUTH, *GAPS)))
    for group, is_shown in service.mentioned(withheld):
        if answers := [one for made in group.readings if (one := said(made)) is not None]:
            yield _share(finding, "override_rate", group, answers, is_shown)


def _is_overridden(truth: Settled, finding: str, made: ReadingRecord) -> bool | None:
    """Whether a reader who had seen the AI said otherwise; None when no reader answered, or had not seen it."""
    answer = truth.get((made.study_id, finding))
    if answer is None or not answer.ai_seen or finding not in made.above:
        return None
    return answer.value != made.above[finding]


def _share(finding: str, metric: str, group: _Group, happened: Sequence[bool], is_shown: bool) -> Row:
    row = Row(finding=finding, metric=metric, cohort=group.cohort)
    if not is_shown:
        return _withheld(row)
    found = wilson(sum(happened), len(happened))
    return replace(row, value=found.value, low=found.low, high=found.high, n=len(happened))


def _withheld(row: Row) -> Row:
    return replace(row, note=f"{SUPPRESSED}: too few to be shown, or needed to hide such a cohort")


def _turnaround(service: _Service) -> Iterator[Row]:
    """The median from last image to report, with the interval of its order statistics."""
    timed = service.places(lambda made: made.turnaround_seconds is not None)
    withheld = service.cells.without_few([timed], service.hidden(ANY_FINDING, WITHOUT_TRUTH))
    for group, is_shown in service.mentioned(withheld):
        row = Row(finding=ANY_FINDING, metric="turnaround_seconds", cohort=group.cohort)
        seconds = sorted(made.turnaround_seconds for made in group.readings if made.turnaround_seconds is not None)
        if not is_shown or not seconds:
            yield _withheld(row)
            continue
        low, high = (int(binom.ppf(share, len(seconds), 0.5)) for share in (0.025, 0.975))
        middle = float(np.median(seconds))
        yield replace(row, value=middle, low=seconds[max(0, low - 1)], high=seconds[min(high, len(seconds) - 1)])


def _recent(service: _Service, finding: str, until: float) -> Iterator[Row]:
    """The last 30 days against the time before: PSI, and Kolmogorov-Smirnov's distance."""
    split = until - _RECENT_SECONDS
    parts = [service.places(partial(_is_scored, finding, split), late) for late in (False, True)]
    withheld = service.cells.without_few(parts, service.hidden(finding, WITHOUT_TRUTH))
    for group, is_shown in service.mentioned(withheld):
        scored = [made for made in group.readings if finding in made.probabilities]
        before = np.array([made.probabilities[finding] for made in scored if made.read_at < split])
        now = np.array([made.probabilities[finding] for made in scored if made.read_at >= split])
        if min(len(before), len(now)) >= FEWEST:
            rows = _of_all(before, now) if group.cohort == ALL else _of_cohort(before, now)
            named = [replace(row, finding=finding, cohort=group.cohort) for row in rows]
            yield from named if is_shown else (_withheld(replace(row, value=None, n=None)) for row in named)


def _is_scored(finding: str, split: float, made: ReadingRecord) -> bool | None:
    """Whether a reading is of the last 30 days; None without a probability."""
    return made.read_at >= split if finding in made.probabilities else None


def _of_all(before: Floats, now: Floats) -> list[Row]:
    test, chance = ks_2samp(before, now), psi_by_chance(len(before), len(now))
    days = f"last {RECENT_DAYS} days against {len(before)} studies before"
    row = Row(finding="", metric="psi_recent", cohort=ALL, n=len(now))
    return [
        replace(row, value=population_stability(before, now), note=f"{days}; by chance up to {chance:.3f}"),
        replace(row, metric="ks_recent", value=float(test.statistic), note=f"{days}; {p_value(float(test.pvalue))}"),
    ]


def _of_cohort(before: Floats, now: Floats) -> list[Row]:
    """To two digits and with words for chance: from exact ones the numbers of studies could be worked out."""
    test, shift = ks_2samp(before, now), population_stability(before, now)
    days = f"last {RECENT_DAYS} days against the time before"
    is_more = {"psi_recent": shift > psi_by_chance(len(before), len(now)), "ks_recent": test.pvalue < CHANCE}
    values = {"psi_recent": shift, "ks_recent": float(test.statistic)}
    return [
        Row(
            finding="",
            metric=metric,
            cohort="",
            value=round(value, 2),
            note=f"{days}; {'more than' if is_more[metric] else 'within what'} chance gives",
        )
        for metric, value in values.items()
    ]
