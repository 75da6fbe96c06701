"""What an audit says besides its rows: what survives among all its tests, how many more studies, and its provenance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from core.statistics.proportions import benjamini_hochberg, holm
from fairness.audit.nouns import ALL, Advice, Attribute, Provenance, Row, Test, Threshold
from fairness.audit.sample_size import GAP, HALF_WIDTH, for_gap, for_half_width, rate_or_widest
from fairness.audit.table import AuditTable
from fairness.cohorts import UNKNOWN
from fairness.suppression.lattice import SMALLEST_CELL, Lattice
from fairness.suppression.withhold import Withheld

DEFAULT_THRESHOLD = 0.5


def default_threshold(finding: str) -> Threshold:
    """Where no threshold was chosen."""
    return Threshold(finding=finding, value=DEFAULT_THRESHOLD, source="default: no threshold was chosen")


def adjust(found: Sequence[tuple[str, Row, float]]) -> tuple[Test, ...]:
    """Holm and Benjamini-Hochberg over all tests of an audit, each (hypothesis, row, p).

    Two cohorts that are each other's rest state one hypothesis, which counts once, with the larger of its p values.
    """
    places = {hypothesis: place for place, hypothesis in enumerate(dict.fromkeys(name for name, _, _ in found))}
    p_values = np.full(len(places), np.nan)
    for hypothesis, _, p in found:
        p_values[places[hypothesis]] = np.fmax(p_values[places[hypothesis]], p)
    alarm, look = holm(p_values), benjamini_hochberg(p_values)
    return tuple(
        Test(
            finding=row.finding,
            metric=row.metric,
            cohort=row.cohort,
            gap=float(row.value or 0.0),
            p=p,
            p_holm=float(alarm[places[hypothesis]]),
            q=float(look[places[hypothesis]]),
        )
        for hypothesis, row, p in found
    )


def advice(rows: Sequence[Row]) -> Iterator[Advice]:
    """For each rate whose interval is still wide, and each gap that might still hide: what would settle it.

    The plan is made with the rate among all patients; where a cohort's numbers are withheld, all that is needed is
    said to be missing, so that nothing follows from it.
    """
    cohorts = max(1, len({row.cohort for row in rows}) - 1)
    overall = {(row.finding, row.metric): row.value for row in rows if row.cohort == ALL}
    share = {row.finding: row.value for row in rows if row.cohort == ALL and row.metric == "prevalence"}
    for row in rows:
        if row.metric not in _ABOUT:
            continue
        positive = row.metric in ("sensitivity", "fnr_gap")
        rate = rate_or_widest(overall.get((row.finding, "sensitivity" if positive else "specificity")))
        is_gap = row.metric in ("fnr_gap", "fpr_gap")
        needed = for_gap(rate, cohorts=cohorts) if is_gap else for_half_width(rate)
        missing = max(0, needed - ((row.positives if positive else row.negatives) or 0))
        if missing:
            text = _words(missing, positive=positive, prevalence=share.get(row.finding), is_gap=is_gap)
            yield Advice(
                finding=row.finding, metric=row.metric, cohort=row.cohort, needed=needed, missing=missing, text=text
            )


_ABOUT = ("sensitivity", "specificity", "fnr_gap", "fpr_gap")


def _words(missing: int, *, positive: bool, prevalence: float | None, is_gap: bool) -> str:
    what = "positives" if positive else "negatives"
    chance = None if prevalence is None else prevalence if positive else 1 - prevalence
    studies = f", about {round(missing / chance):,} studies of this cohort at the overall prevalence" if chance else ""
    why = f"to find a gap of {GAP:.2f}" if is_gap else f"for an interval of {HALF_WIDTH:.2f} either way"
    return f"{missing:,} more {what}{studies} {why}"


def complete(
    provenance: Provenance, table: AuditTable, lattice: Lattice, withheld: Withheld, by: Sequence[str]
) -> Provenance:
    """The provenance with what was counted; `withheld` is about images.

    Only attributes that were asked for are named with their values: a column of readers' names stays out of it.
    """
    attributes = []
    for name, grouping in ((name, table.attributes[name]) for name in by):
        layer = lattice.layer(name)
        unknown = grouping.values.index(UNKNOWN) if UNKNOWN in grouping.values else None
        shown = tuple(value for code, value in enumerate(grouping.values) if not withheld.cells[layer.start + code])
        rate: float | None = 0.0
        if unknown is not None:
            count = int(np.count_nonzero(grouping.codes == unknown))
            rate = None if withheld.cells[layer.start + unknown] else count / table.images
        attributes.append(Attribute(name=name, values=shown, missing_rate=rate))
    remarks = tuple(
        f"{' and '.join(layer)}: withheld altogether, most of its cohorts have under {SMALLEST_CELL} patients"
        for layer in sorted(withheld.layers)
        if set(layer) <= set(by)
    )
    return replace(
        provenance,
        rows=table.images,
        patients=int(np.count_nonzero(np.bincount(table.patients))),
        smallest_cell=SMALLEST_CELL,
        attributes=tuple(attributes),
        remarks=(*provenance.remarks, *remarks),
    )
