"""The card's sections that come from the gates: fairness audit, explanation gate, quality check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from api.pages.card.blocks import (
    Block,
    Bullets,
    CardSection,
    Curves,
    Forest,
    ForestRow,
    Gallery,
    Grid,
    Line,
    Material,
    Picture,
    Text,
    interval,
)
from core.wording import number
from explain.gate.document import Comparison, GateCurves, Verdict
from explain.gate.result import NOT_JUDGED
from fairness.audit.nouns import Audit, Row

_AUDITED = {"auroc": "AUROC", "sensitivity": "sensitivity", "specificity": "specificity"}
_PICTURES = frozenset({".png", ".jpg", ".jpeg"})


def fairness(material: Material) -> Iterator[CardSection]:
    """For whom it fails: every single cohort of the validation audit, and the gaps that survive Holm."""
    audit = material.audit
    if audit is None or not audit.rows:
        return
    origin = audit.provenance
    pairs = dict.fromkeys((row.finding, row.cohort) for row in audit.rows if row.metric in _AUDITED)
    single = [(finding, cohort) for finding, cohort in pairs if " & " not in cohort]
    blocks: list[Block] = [
        Text(
            f"Audit of {origin.rows} images of {origin.patients} patients; truth: "
            f"{origin.truth_source or 'as in the data'}. Tests made: {origin.tests}. Cells under "
            f"{origin.smallest_cell} are withheld. Intersections of two cohorts stand in `docs/audit.json`."
        ),
        _alarms(audit),
        Grid(
            caption="Within each cohort, with 95 % intervals",
            columns=("finding", "cohort", "what is missing", "+ / -", *_AUDITED.values()),
            rows=[_audited(finding, cohort, audit) for finding, cohort in single],
            text_columns=3,
        ),
        Gallery([_forest(finding, single, audit) for finding in dict.fromkeys(finding for finding, _ in single)]),
    ]
    yield CardSection("For whom does it fail?", blocks)


def _audited(finding: str, cohort: str, audit: Audit) -> list[str]:
    found = {metric: audit.row(finding, metric, cohort) for metric in _AUDITED}
    counted = next((row for row in found.values() if row and row.positives is not None), None)
    counts = f"{counted.positives} / {counted.negatives}" if counted else "-"
    return [finding, cohort, _missing(found), counts, *(_estimate(row) for row in found.values())]


def _missing(rows: Mapping[str, Row | None]) -> str:
    """Why a cohort lacks figures, each reason once; where they differ, with what it is about."""
    about: dict[str, list[str]] = {}
    for metric, row in rows.items():
        if row and row.note and row.value is None:
            about.setdefault(row.note, []).append(_AUDITED[metric])
    if not about or len(about) == 1:
        return next(iter(about), "")
    return "; ".join(f"{', '.join(metrics)}: {note}" for note, metrics in about.items())


def _estimate(row: Row | None) -> str:
    return interval((row.value, row.low, row.high) if row else None)


def _forest(finding: str, single: list[tuple[str, str]], audit: Audit) -> Forest:
    rows = []
    for name, cohort in single:
        row = audit.row(finding, "sensitivity", cohort)
        if name == finding and row is not None:
            estimate = (row.value, row.low, row.high)
            counts = "" if row.positives is None else f"{row.positives}"
            rows.append(ForestRow(label=cohort, estimate=estimate, counts=counts, note=row.note or "no data"))
    return Forest(title=f"Sensitivity by cohort: {finding}", value_label="sensitivity", rows=rows)


def _alarms(audit: Audit) -> Block:
    if not audit.certain_gaps:
        return Text("No gap between cohorts survives Holm's correction: that none is there is not shown by this.")
    return Grid(
        caption="Gaps that survive Holm's correction",
        columns=("finding", "metric", "cohort", "gap", "p after Holm"),
        rows=[
            [test.finding, test.metric, test.cohort, number(test.gap), f"{test.p_holm:.2g}"]
            for test in audit.certain_gaps
        ],
        text_columns=3,
    )


def explanation(material: Material) -> Iterator[CardSection]:
    """Whether the maps may be trusted: each test of the gate, its curves and pictures."""
    gate = material.explanation
    if gate is None:
        return
    blocks: list[Block] = []
    if gate.sha256 != material.description.sha256:
        blocks.append(Text("The gate was passed by other weights: maps of this version are withheld.", strong=True))
    ends_in = {
        Verdict.PASSED: "passed",
        Verdict.FAILED: f"failed ({', '.join(gate.failed)}): its maps are withheld",
        Verdict.NOT_JUDGED: f"{NOT_JUDGED}: its maps are withheld",
    }
    verdict = ends_in[gate.verdict]
    blocks.append(Text(f"Map gate ({gate.method}): {verdict}. Made on {gate.images}."))
    if gate.weaker:
        blocks.append(Text(gate.weaker))
    ends = {True: "passed", False: "failed", None: "not made"}
    rows = [[test.name, ends[test.passed], test.words] for test in gate.tests]
    blocks.append(
        Grid(caption="Tests of the maps", columns=("test", "result", "what was found"), rows=rows, text_columns=3)
    )
    blocks += _gate_curves(gate.curves)
    if gate.comparison:
        blocks += _methods(gate.comparison)
    pictures = [path for path in sorted((material.folder / "docs").rglob("*")) if path.suffix.lower() in _PICTURES]
    if pictures:
        blocks.append(Gallery([Picture(path=path, words=path.stem.replace("-", " ")) for path in pictures]))
    yield CardSection("Can its maps be trusted?", blocks)


def _methods(comparison: Comparison) -> list[Block]:
    """Every method on the images that readers boxed, with chance and the published range."""
    rows = [
        [
            one.method,
            str(one.forward_passes),
            *map(interval, (one.pointing, one.auprc, one.iou)),
            f"{one.gain_per_pass:.5f}",
        ]
        for one in comparison.methods
    ]
    chance = comparison.methods[0].chance
    rows.append(["chance", "", *map(number, (chance.pointing, chance.auprc, chance.iou)), ""])
    low, high = comparison.published_pneumonia_auprc
    words = (
        f"Methods side by side on {comparison.images} boxed images of {comparison.patients} patients "
        f"({comparison.finding}). Published AUPRC for pneumonia: {low:.3f} to {high:.3f}. Most above chance for "
        f"each forward pass: {comparison.most_per_pass}."
    )
    columns = ("method", "forward passes", "pointing", "auprc", "iou", "AUPRC gain per pass")
    grid = Grid(caption="Methods on readers' boxes, 95 % intervals over patients", columns=columns, rows=rows)
    return [Text(words), grid]


def _gate_curves(curves: GateCurves) -> list[Block]:
    drawn: list[Curves] = []
    if shuffled := curves.randomisation:
        points = list(zip(shuffled.shares, shuffled.ssim, strict=True))
        drawn.append(
            Curves(
                title="Maps while weights are shuffled",
                x_label="share of the layers shuffled",
                y_label="SSIM with the true maps",
                series=[Line(label="SSIM", points=points)],
            )
        )
    if found := curves.faithfulness:
        drawn.append(_probability("Deletion", {name: (one.shares, one.deletion) for name, one in found.items()}))
        drawn.append(_probability("Insertion", {name: (one.shares, one.insertion) for name, one in found.items()}))
    return [Gallery(drawn)] if drawn else []


def _probability(title: str, curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Curves:
    series = [Line(label=name, points=list(zip(*axes, strict=True))) for name, axes in curves.items()]
    return Curves(title=title, x_label="share of the image", y_label="probability", series=series)


def quality(material: Material) -> Iterator[CardSection]:
    """What the quality check refuses wrongly, what it catches, and what was not measured."""
    figures = material.quality
    if figures is None:
        return
    refused = [
        [f"{tier} px", cohort, str(entry.images), str(entry.refused), interval(entry.share, 3)]
        for tier, cohorts in figures.false_refusals.items()
        for cohort, entry in cohorts.items()
    ]
    caught = [
        [row.fault, row.how, row.source, str(row.images), interval(row.caught), interval(row.named)]
        for row in figures.caught
    ]
    blocks: list[Block] = [
        Text('An image with a fault is not scored: the report says "could not analyse, because".'),
        Grid(
            caption="Sound radiographs of adults refused wrongly, with 95 % intervals",
            columns=("images of", "cohort", "images", "refused", "share"),
            rows=refused,
            text_columns=2,
        ),
        Grid(
            caption="Faults caught, and named rightly, with 95 % intervals",
            columns=("fault", "how", "source", "images", "caught", "named rightly"),
            rows=caught,
            text_columns=3,
        ),
    ]
    for control in figures.controls:
        blocks.append(
            Text(
                f"Control: {control.control} ({control.images} images): called a child "
                f"{interval(control.called_child)}, as sent {interval(control.called_child_as_sent)}, refused "
                f"{interval(control.refused)}."
            )
        )
    if figures.not_measured:
        blocks += [Text("Not measured:"), Bullets(figures.not_measured)]
    yield CardSection("Quality check", blocks)
