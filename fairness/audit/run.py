"""Makes an audit: every finding in every cohort asked for, with what must be withheld withheld.

One finding at a time, its images sorted once by probability; a cohort is then a part of that order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigurationError
from core.progress import Progress, silent
from fairness.audit.completion import adjust, advice, complete, default_threshold
from fairness.audit.metrics import (
    ENOUGH,
    Drawn,
    Figure,
    Members,
    Ranked,
    figures_with_truth,
    figures_without_truth,
    gaps,
    reliability,
)
from fairness.audit.nouns import ALL, SUPPRESSED, Audit, Curve, Provenance, Row, Threshold
from fairness.audit.paired import DIFFERENCES, OtherModel, differences
from fairness.audit.resampling import Resampling
from fairness.audit.table import AuditTable
from fairness.suppression.lattice import SMALLEST_CELL, Lattice, Layer
from fairness.suppression.withhold import Secret, Withheld, withhold

DRAWS = 2000
AUDITING = "auditing"
WITHHELD = f"{SUPPRESSED}: fewer than {SMALLEST_CELL} patients in it, or needed to hide such a cohort"
WITHOUT_TRUTH = ("flag_rate", "psi", "ks")
WITH_TRUTH = (
    *("prevalence", "auroc", "sensitivity", "specificity", "ppv", "npv"),
    *("brier", "ece", "ece_debiased", "ece_if_calibrated"),
)
GAPS = ("fnr_gap", "fpr_gap")
_MOST_FIGURES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of an audit. `by`: attributes; every one and every two of them. No `findings`: all of them.

    `shows_small_cells`: nothing is withheld, for the owner of the rows. `other`: a second model on the same images.
    """

    by: tuple[str, ...]
    findings: tuple[str, ...] = ()
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    shows_small_cells: bool = False
    other: OtherModel | None = None

    def compared(self, finding: str) -> Sequence[str]:
        """The metrics of this finding that are differences from the other model."""
        return DIFFERENCES if self.other and finding in self.other.thresholds else ()

    draws: int = DRAWS
    seed: int = 1


@dataclass(frozen=True, slots=True)
class _Cohort:
    """A cohort asked for: its place among all cells, and its images among the ranked ones."""

    name: str
    cell: int
    places: NDArray[np.intp] = field(repr=False)
    hypothesis: str = ""  # the same for two cohorts that are each other's rest


@dataclass(slots=True)
class _Found:
    rows: list[Row] = field(default_factory=list)
    tests: list[tuple[str, Row, float]] = field(default_factory=list)  # hypothesis, row, p
    curves: list[Curve] = field(default_factory=list)


def run_audit(table: AuditTable, request: Request, provenance: Provenance, progress: Progress = silent) -> Audit:
    """The audit of a table; `provenance` says where it came from and is completed with what was counted.

    Raises ConfigurationError for attributes or findings that the table lacks, and for fewer than 11 patients.
    """
    findings = _check_request(table, request)
    lattice = Lattice.of(dict(sorted(table.attributes.items())), table.images)  # one order, whatever is asked
    resampling = Resampling.of(table.patients, request.draws, request.seed)
    thresholds = {name: request.thresholds.get(name, default_threshold(name)) for name in findings}
    found, images = _Found(), _images_withheld(lattice, table, None, request)
    for number, finding in enumerate(findings):
        half_done = partial(progress, AUDITING, 2 * number + 1, 2 * len(findings), finding)
        progress(AUDITING, 2 * number, 2 * len(findings), finding)
        _audit_finding(table, lattice, request, resampling, thresholds[finding], images, found, half_done)
    tests = adjust(found.tests)
    return Audit(
        provenance=replace(
            complete(provenance, table, lattice, images, request.by),
            smallest_cell=1 if request.shows_small_cells else SMALLEST_CELL,
            patients_repeat=_patients_repeat(table),
            bootstrap_draws=request.draws,
            seed=request.seed,
            tests=len({hypothesis for hypothesis, _, _ in found.tests}),
            thresholds=tuple(thresholds.values()),
        ),
        rows=tuple(found.rows),
        tests=tests,
        curves=tuple(found.curves),
        advice=tuple(advice(found.rows)),
    )


def _check_request(table: AuditTable, request: Request) -> tuple[str, ...]:
    known = table.source.findings
    if unknown := [name for name in request.by if name not in table.attributes]:
        raise ConfigurationError(f"there is no attribute {unknown[0]}; there are {', '.join(table.attributes)}")
    if unknown := [name for name in request.findings if name not in known]:
        raise ConfigurationError(f"there is no finding {unknown[0]}; there are {', '.join(known)}")
    _refuse_endless(table, request)
    if len(np.unique(table.patients)) < SMALLEST_CELL and not request.shows_small_cells:
        raise ConfigurationError(
            f"an audit of fewer than {SMALLEST_CELL} patients would be about persons, not about a model; "
            "give it more studies"
        )
    return request.findings or tuple(known)


def _refuse_endless(table: AuditTable, request: Request) -> None:
    """No page holds a million figures, and no person reads them."""
    sizes = [len(table.attributes[name].values) for name in request.by]
    pairs = (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
    cohorts = 1 + sum(sizes) + min(pairs, table.images * len(sizes) * (len(sizes) - 1) // 2)
    findings = len(request.findings or table.source.findings)
    if (figures := cohorts * findings * len((*WITHOUT_TRUTH, *WITH_TRUTH, *GAPS))) > _MOST_FIGURES:
        raise ConfigurationError(
            f"{findings:,} findings in up to {cohorts:,} cohorts are {figures:,} figures, more than the "
            f"{_MOST_FIGURES:,} that an audit makes; ask for fewer findings or attributes"
        )


def _images_withheld(lattice: Lattice, table: AuditTable, rows: NDArray[np.intp] | None, request: Request) -> Withheld:
    if request.shows_small_cells:
        return Withheld(np.zeros(lattice.size, bool))
    chosen: NDArray[np.intp] | slice = slice(None) if rows is None else rows
    return withhold(lattice, [Secret.of_images(lattice.counts(chosen), lattice.few_people(table.patients, chosen))])


def _audit_finding(
    table: AuditTable,
    lattice: Lattice,
    request: Request,
    resampling: Resampling,
    threshold: Threshold,
    images: Withheld,
    found: _Found,
    half_done: Callable[[], None],
) -> None:
    finding = threshold.finding
    scores = table.source.scores(finding)
    scored = np.flatnonzero(~np.isnan(scores.probabilities))
    if len(scored) < table.images:
        images = _images_withheld(lattice, table, scored, request)
    truth = images if request.shows_small_cells else _truth_withheld(lattice, table, scores.truths, scored, images)
    ranked = Ranked.of(scored, scores.probabilities, scores.truths)
    everybody = Members.of(ranked, np.arange(len(ranked.rows)), threshold.value)
    cohorts = [_Cohort(ALL, 0, everybody.places), *_cohorts(lattice, request.by, ranked.rows, images)]
    paired = request.compared(finding)
    shown: list[tuple[_Cohort, Members]] = []  # those whose truth may be shown
    for cohort in cohorts:
        members = everybody if cohort.cell == 0 else Members.of(ranked, cohort.places, threshold.value)
        if images.cells[cohort.cell]:
            found.rows += _withheld_rows(finding, cohort.name, (*WITHOUT_TRUTH, *WITH_TRUTH, *GAPS, *paired))
            continue
        for figure in figures_without_truth(members, ranked, is_all=cohort.cell == 0):
            found.rows.append(_row(finding, cohort.name, figure, members, with_truth=False))
        if truth.cells[cohort.cell] and everybody.rows.size:
            found.rows += _withheld_rows(finding, cohort.name, (*WITH_TRUTH, *GAPS, *paired))
        elif members.rows.size:
            shown.append((cohort, members))
    half_done()
    if shown:
        _add_figures_with_truth(finding, shown, resampling, _patients_repeat(table), found)
        _add_differences(
            threshold, shown, request.other if paired else None, resampling, _patients_repeat(table), found
        )


def _add_figures_with_truth(
    finding: str, shown: Sequence[tuple[_Cohort, Members]], resampling: Resampling, repeat: bool, found: _Found
) -> None:
    """The figures of all cohorts at once, because all their bootstrap sums together are one matrix product."""
    blocks = [members.sums(resampling, patients_repeat=repeat) for _, members in shown]
    draws = [Drawn.of(block, shown[place][1].bins) for place, block in enumerate(resampling.draws(blocks))]
    (everyone, everybody), all_drawn = shown[0], draws[0]
    for (cohort, members), drawn in zip(shown, draws, strict=True):
        for figure in figures_with_truth(members, drawn):
            found.rows.append(_row(finding, cohort.name, figure, members))
        if len(members.rows) >= ENOUGH:
            found.curves.append(reliability(finding, cohort.name, members))
        if cohort is everyone:
            continue
        for gap in gaps(members, everybody, drawn, all_drawn):
            row = _row(finding, cohort.name, gap.figure, members)
            found.rows.append(row)
            if not math.isnan(gap.p):
                found.tests.append((f"{finding} {row.metric} {cohort.hypothesis}", row, gap.p))


def _add_differences(
    threshold: Threshold,
    shown: Sequence[tuple[_Cohort, Members]],
    other: OtherModel | None,
    resampling: Resampling,
    repeat: bool,
    found: _Found,
) -> None:
    for cohort, members in shown if other else ():
        assert other is not None
        for figure in differences(members, other, threshold, resampling, repeat=repeat):
            found.rows.append(_row(threshold.finding, cohort.name, figure, members))


def _truth_withheld(
    lattice: Lattice, table: AuditTable, truths: NDArray[np.int8], scored: NDArray[np.intp], images: Withheld
) -> Withheld:
    counts = lattice.counts(scored)
    secrets = []
    for wanted in (1, 0):
        rows = scored[truths[scored] == wanted]
        found, few = lattice.counts(rows), lattice.few_people(table.patients, rows)
        if len(rows):  # where no patient or each patient has the finding, the rate says so of each of them
            few |= (found == 0) & (counts > 0)
        secrets.append(Secret.of_finding(found, few, counts, images))
    return withhold(lattice, secrets, images)


def _cohorts(lattice: Lattice, by: Sequence[str], order: NDArray[np.intp], images: Withheld) -> Iterator[_Cohort]:
    """Every value of each attribute, then of every two, that has images; those of withheld layers are not named."""
    singles = [lattice.layer(name) for name in by]
    pairs = [layer for layer in lattice.layers if len(layer.attributes) == 2 and set(layer.attributes) <= set(by)]
    for layer in (*singles, *pairs):
        if layer.attributes in images.layers:
            continue
        codes = layer.codes(order)
        narrow = codes.astype(np.int16) if layer.size < 2**15 else codes  # numpy sorts these by radix
        places = np.argsort(narrow, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=layer.size))
        filled = int(np.count_nonzero(np.diff(ends, prepend=0)))
        for code, name in enumerate(layer.names(by)):
            start = int(ends[code - 1]) if code else 0
            if start < ends[code] and not _has_withheld_part(lattice, layer, code, images):
                is_half = filled == 2 and len(layer.attributes) == 1
                hypothesis = layer.attributes[0] if is_half else name
                yield _Cohort(name, layer.start + code, places[start : ends[code]], hypothesis)


def _has_withheld_part(lattice: Lattice, layer: Layer, code: int, images: Withheld) -> bool:
    """Whether a value of an intersection is withheld itself: then not even its name is shown."""
    if len(layer.attributes) < 2:
        return False
    parts = np.unravel_index(code, layer.shape)
    return any(
        bool(images.cells[lattice.layer(name).start + int(part)])
        for name, part in zip(layer.attributes, parts, strict=True)
    )


def _row(finding: str, cohort: str, figure: Figure, members: Members, *, with_truth: bool = True) -> Row:
    value, low, high = (
        None if math.isnan(part) else part
        for part in (figure.estimate.value, figure.estimate.low, figure.estimate.high)
    )
    counts = members.counts
    return Row(
        finding=finding,
        metric=figure.metric,
        cohort=cohort,
        value=value,
        low=None if value is None else low,
        high=None if value is None else high,
        n=counts.positives + counts.negatives if with_truth else counts.scored,
        positives=counts.positives if with_truth else None,
        negatives=counts.negatives if with_truth else None,
        note=figure.note,
    )


def _withheld_rows(finding: str, cohort: str, metrics: Sequence[str]) -> Iterator[Row]:
    skipped = ("psi", "ks", *GAPS) if cohort == ALL else ()
    return (
        Row(finding=finding, metric=metric, cohort=cohort, note=WITHHELD) for metric in metrics if metric not in skipped
    )


def _patients_repeat(table: AuditTable) -> bool:
    return int(np.bincount(table.patients).max()) > 1
