"""The card's sections that come from `evaluation.json`: how well the model tells patients apart, and on whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from api.pages.card.blocks import (
    Bullets,
    CardSection,
    Curves,
    Forest,
    ForestRow,
    Gallery,
    Grid,
    Line,
    Material,
    Text,
    interval,
)
from core.statistics.estimate import Rounded
from core.wording import number
from models.documents.evaluation import (
    AtThreshold,
    Evaluation,
    FindingCurves,
    FindingEvaluation,
    LocalisationFigures,
    ReliabilityBin,
)
from models.documents.training import Discrimination

Findings = Mapping[str, FindingEvaluation]


def sections(material: Material) -> Iterator[CardSection]:
    """Each section whose figures are there."""
    figures = material.evaluation
    if figures is None:
        return
    findings = figures.evaluated
    yield _discrimination(findings)
    yield _operating_points(findings)
    if drawn := {name: entry.curves for name, entry in findings.items() if entry.curves}:
        yield _curves(drawn)
    yield _cohorts(findings)
    if any(entry.by_source for entry in findings.values()):
        yield _sources(findings)
    if figures.localisation:
        yield _localisation(figures.localisation, figures.localisation_gain)
    held_out = figures.held_out or {}
    if missing := {name: entry for name, entry in held_out.items() if name not in figures.shipped}:
        yield _not_shipped(missing, figures.floor)


def _discrimination(findings: Findings) -> CardSection:
    ranks = Grid(
        caption="AUROC (DeLong) with its 95 % interval, and average precision",
        columns=(*_WHO, "AUROC", "text-mined labels let in", "within view PA", "within view AP", "average precision"),
        rows=[[*_who(entry), *_ranking(entry)] for entry in findings.values()],
    )
    keeps_its_word = Grid(
        caption="Expected calibration error (ECE) with its 95 % interval; what a perfectly calibrated model would show "
        "on as few images, by chance; and the ECE less what chance adds to it",
        columns=(*_WHO, "ECE", "ECE if perfect", "ECE less chance"),
        rows=[[*_who(entry), *_calibration(entry)] for entry in findings.values()],
    )
    return CardSection(
        "How well it tells them apart: held-out test patients, adults, 512 px",
        [ranks, keeps_its_word],
    )


_WHO = ("finding", "+ / -")


def _who(entry: FindingEvaluation) -> list[str]:
    everyone = entry.test_512["all"]
    return [entry.words, f"{everyone.positives} / {everyone.negatives}"]


def _ranking(entry: FindingEvaluation) -> list[str]:
    everyone, with_text = entry.test_512["all"], entry.text_mined_too
    return [
        interval(everyone.auroc),
        interval(with_text.auroc) if with_text and with_text.positives != everyone.positives else "-",
        interval(_auroc(entry.test_512, "view=PA")),
        interval(_auroc(entry.test_512, "view=AP")),
        number(everyone.average_precision),
    ]


def _calibration(entry: FindingEvaluation) -> list[str]:
    return [
        interval(entry.expected_calibration_error),
        interval(entry.calibration_error_if_perfect),
        number(entry.calibration_error_debiased),
    ]


def _auroc(cohorts: Mapping[str, AtThreshold] | None, name: str) -> Rounded | None:
    return cohorts[name].auroc if cohorts and name in cohorts else None


def _operating_points(findings: Findings) -> CardSection:
    columns = ("finding", "threshold", "sensitivity, validation", "specificity, validation")
    rows = []
    for name, entry in findings.items():
        point, test = entry.operating_point, entry.test_512["all"]
        rows.append(
            [
                name,
                number(point.threshold, 3),
                interval([point.sensitivity, *(point.sensitivity_interval or (None, None))]),
                interval([point.specificity, *(point.specificity_interval or (None, None))]),
                interval(test.sensitivity),
                interval(test.specificity),
            ]
        )
    return CardSection(
        "Operating points",
        [
            Text("Chosen on validation patients only; the test columns say what became of them on test patients."),
            Grid(
                caption="Threshold on the probability, sensitivity and specificity with 95 % intervals (Wilson)",
                columns=(*columns, "sensitivity, test", "specificity, test"),
                rows=rows,
            ),
        ],
    )


def _curves(drawn: Mapping[str, FindingCurves]) -> CardSection:
    blocks = [
        Curves(
            title="ROC",
            x_label="1 - specificity",
            y_label="sensitivity",
            series=[Line(label=name, points=curves.roc) for name, curves in drawn.items()],
            diagonal="chance",
        ),
        Curves(
            title="Precision and recall",
            x_label="recall (sensitivity)",
            y_label="precision (PPV)",
            series=[Line(label=name, points=curves.precision_recall) for name, curves in drawn.items()],
        ),
        *(_reliability(name, curves.reliability) for name, curves in drawn.items()),
    ]
    words = "Of the same test patients. Reliability: bins of equal numbers of images; 95 % intervals of what was seen."
    return CardSection("Curves", [Text(words), Gallery(blocks)])


def _reliability(name: str, bins: Sequence[ReliabilityBin]) -> Curves:
    return Curves(
        title=f"Reliability: {name}",
        x_label="predicted probability",
        y_label="share with the finding",
        series=[
            Line(
                label=name,
                points=[(one.predicted, one.observed) for one in bins],
                low=[one.low for one in bins],
                high=[one.high for one in bins],
                counts=[one.n for one in bins],
            )
        ],
        diagonal="perfect calibration",
    )


def _cohorts(findings: Findings) -> CardSection:
    names = list(dict.fromkeys(cohort for entry in findings.values() for cohort in entry.test_512))
    rows = [[name, *(interval(_auroc(entry.test_512, cohort)) for cohort in names)] for name, entry in findings.items()]
    forests = [_forest(name, entry.test_512) for name, entry in findings.items()]
    columns = ("finding", *names)
    return CardSection(
        "AUROC within cohorts (test patients, 512 px)",
        [Grid(caption="AUROC within each cohort, 95 % interval", columns=columns, rows=rows), Gallery(forests)],
    )


def _forest(name: str, cohorts: Mapping[str, AtThreshold]) -> Forest:
    rows = [
        ForestRow(
            label=cohort,
            estimate=entry.auroc,
            counts=f"{entry.positives} / {entry.negatives}",
            note="too few of one kind",
        )
        for cohort, entry in cohorts.items()
    ]
    return Forest(title=f"AUROC by cohort: {name}", value_label="AUROC", rows=rows)


def _sources(findings: Findings) -> CardSection:
    names = list(dict.fromkeys(source for entry in findings.values() for source in entry.by_source or {}))
    rows = [
        [name, *(interval(_auroc(entry.by_source, source)) for source in names)] for name, entry in findings.items()
    ]
    grid = Grid(caption="AUROC by source, 95 % interval", columns=("finding", *names), rows=rows)
    return CardSection("AUROC by source and resolution (test patients)", [grid])


def _localisation(figures: Mapping[str, LocalisationFigures], gain: LocalisationFigures | None) -> CardSection:
    heads = ("pointing game", "chance", "times chance", "centre", "average precision", "IoU at half range")
    measured = [(name, entry) for name, entry in figures.items() if entry.images]
    if gain:
        measured.append(("gain over the control, paired", gain))
    rows = [[name, str(one.images), *(interval(estimate) for estimate in _in_order(one))] for name, one in measured]
    words = (
        "Pointing game: the map's highest point is in a box. Chance: the share of the image that the boxes cover. "
        "The centre column is a map that always points at the middle of the image."
    )
    grid = Grid(caption="Maps against readers' boxes, 95 % intervals", columns=("map", "images", *heads), rows=rows)
    return CardSection("Does the map point at the opacity? (radiologists' boxes)", [Text(words), grid])


def _in_order(one: LocalisationFigures) -> tuple[Rounded | None, ...]:
    return one.pointing, one.chance, one.times_chance, one.pointing_centre, one.average_precision, one.iou


def _not_shipped(missing: Mapping[str, Discrimination], floor: float | None) -> CardSection:
    rows = [[name, interval(entry.auroc)] for name, entry in missing.items()]
    words = (
        "A finding ships when the lower bound of its AUROC on held-out patients (512 px) is above "
        f"{number(floor)}, and it has a code. These did not:"
    )
    grid = Grid(caption="Trained, not shipped", columns=("finding", "AUROC"), rows=rows)
    return CardSection("Trained, not shipped", [Text(words), grid])


def data_table(figures: Evaluation | None) -> Grid | None:
    """How many patients and images of each split, by resolution; None where the evaluation does not say."""
    if figures is None or not (counts := figures.data):
        return None
    tiers = list(dict.fromkeys(tier for entry in counts.values() for tier in entry.images_by_tier))
    rows = [
        [split, str(entry.patients), str(entry.images), *(str(entry.images_by_tier.get(t, 0)) for t in tiers)]
        for split, entry in counts.items()
    ]
    columns = ("split", "patients", "images", *(f"{tier} px" for tier in tiers))
    return Grid(caption="Patients and images of each split", columns=columns, rows=rows)


def training_section(material: Material) -> CardSection | None:
    """How it was trained, in the maker's words, and how long it takes where that was measured."""
    items = list(material.prose.training)
    if material.evaluation and (runtime := material.evaluation.runtime):
        speed = number(runtime.images_per_second)
        items.append(f"Evaluated at {speed} images per second on {runtime.provider}, threads: {runtime.threads}.")
    return CardSection("Training", [Bullets(items)]) if items else None
