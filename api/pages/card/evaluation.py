"""The card's sections that come from `evaluation.json`: how well the model tells patients apart, and on whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
from core.wording import number


def sections(material: Material) -> Iterator[CardSection]:
    """Each section whose keys are there."""
    figures = material.evaluation
    if not figures:
        return
    yield _discrimination(figures)
    yield _operating_points(figures)
    if any(entry.get("curves") for entry in _shipped(figures).values()):
        yield _curves(figures)
    yield _cohorts(figures)
    if any(entry.get("by_source") for entry in _shipped(figures).values()):
        yield _sources(figures)
    if figures.get("localisation"):
        yield _localisation(figures)
    if missing := [name for name in figures.get("held_out", {}) if name not in figures["shipped"]]:
        yield _not_shipped(figures, missing)


def _shipped(figures: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: figures["findings"][name] for name in figures["shipped"]}


def _discrimination(figures: dict[str, Any]) -> CardSection:
    columns = ("finding", "+ / -", "AUROC", "text-mined labels let in", "within PA", "within AP", "average precision")
    rows = []
    for entry in _shipped(figures).values():
        tested, with_text = entry["test_512"], entry.get("text_mined_too", {})
        everyone = tested["all"]
        more = with_text.get("positives", everyone["positives"]) != everyone["positives"]
        rows.append(
            [
                entry["words"],
                f"{everyone['positives']} / {everyone['negatives']}",
                interval(everyone["auroc"]),
                interval(with_text["auroc"]) if more else "-",
                interval(tested.get("view=PA", {}).get("auroc")),
                interval(tested.get("view=AP", {}).get("auroc")),
                number(everyone["average_precision"]),
                interval(entry["expected_calibration_error"]),
                interval(entry.get("calibration_error_if_perfect")),
                number(entry.get("calibration_error_debiased")),
            ]
        )
    caption = (
        "AUROC (DeLong) and expected calibration error (ECE), each with its 95 % interval; what a perfectly calibrated "
        "model would show on as few images, by chance; and the ECE less what chance adds to it"
    )
    return CardSection(
        "How well it tells them apart: held-out test patients, adults, 512 px",
        [Grid(caption=caption, columns=(*columns, "ECE", "ECE if perfect", "ECE less chance"), rows=rows)],
    )


def _operating_points(figures: dict[str, Any]) -> CardSection:
    columns = ("finding", "threshold", "sensitivity, validation", "specificity, validation")
    rows = []
    for name, entry in _shipped(figures).items():
        point, test = entry["operating_point"], entry["test_512"]["all"]
        rows.append(
            [
                name,
                number(point["threshold"], 3),
                interval([point["sensitivity"], *(point["sensitivity_interval"] or (None, None))]),
                interval([point["specificity"], *(point["specificity_interval"] or (None, None))]),
                interval(test["sensitivity"]),
                interval(test["specificity"]),
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


def _curves(figures: dict[str, Any]) -> CardSection:
    drawn = {name: entry["curves"] for name, entry in _shipped(figures).items() if entry.get("curves")}

    def series(key: str) -> list[Line]:
        return [Line(label=name, points=[(x, y) for x, y in curves[key]]) for name, curves in drawn.items()]

    blocks = [
        Curves(
            title="ROC",
            x_label="1 - specificity",
            y_label="sensitivity",
            series=series("roc"),
            diagonal="chance",
        ),
        Curves(
            title="Precision and recall",
            x_label="recall (sensitivity)",
            y_label="precision (PPV)",
            series=series("precision_recall"),
        ),
        *(_reliability(name, curves["reliability"]) for name, curves in drawn.items()),
    ]
    words = "Of the same test patients. Reliability: bins of equal numbers of images; 95 % intervals of what was seen."
    return CardSection("Curves", [Text(words), Gallery(blocks)])


def _reliability(name: str, bins: list[dict[str, Any]]) -> Curves:
    return Curves(
        title=f"Reliability: {name}",
        x_label="predicted probability",
        y_label="share with the finding",
        series=[
            Line(
                label=name,
                points=[(one["predicted"], one["observed"]) for one in bins],
                low=[one["low"] for one in bins],
                high=[one["high"] for one in bins],
                counts=[one["n"] for one in bins],
            )
        ],
        diagonal="perfect calibration",
    )


def _cohorts(figures: dict[str, Any]) -> CardSection:
    shipped = _shipped(figures)
    names = list(dict.fromkeys(cohort for entry in shipped.values() for cohort in entry["test_512"]))
    rows = []
    for name, entry in shipped.items():
        rows.append([name, *(interval(entry["test_512"].get(cohort, {}).get("auroc")) for cohort in names)])
    forests = [_forest(name, entry["test_512"]) for name, entry in shipped.items()]
    columns = ("finding", *names)
    return CardSection(
        "AUROC within cohorts (test patients, 512 px)",
        [Grid(caption="AUROC within each cohort, 95 % interval", columns=columns, rows=rows), Gallery(forests)],
    )


def _forest(name: str, cohorts: dict[str, dict[str, Any]]) -> Forest:
    rows = [
        ForestRow(
            label=cohort,
            estimate=entry["auroc"],
            counts=f"{entry['positives']} / {entry['negatives']}",
            note="too few of one kind",
        )
        for cohort, entry in cohorts.items()
    ]
    return Forest(title=f"AUROC by cohort: {name}", value_label="AUROC", rows=rows)


def _sources(figures: dict[str, Any]) -> CardSection:
    shipped = _shipped(figures)
    names = list(dict.fromkeys(source for entry in shipped.values() for source in entry["by_source"]))
    rows = [
        [name, *(interval(entry["by_source"].get(source, {}).get("auroc")) for source in names)]
        for name, entry in shipped.items()
    ]
    grid = Grid(caption="AUROC by source, 95 % interval", columns=("finding", *names), rows=rows)
    return CardSection("AUROC by source and resolution (test patients)", [grid])


def _localisation(figures: dict[str, Any]) -> CardSection:
    keys = ("pointing", "chance", "times_chance", "pointing_centre", "average_precision", "iou")
    heads = ("pointing game", "chance", "times chance", "centre", "average precision", "IoU at half range")
    measured = [(name, entry) for name, entry in figures["localisation"].items() if entry.get("images")]
    if figures.get("localisation_gain"):
        measured.append(("gain over the control, paired", figures["localisation_gain"]))
    rows = [[name, str(entry["images"]), *(interval(entry.get(key)) for key in keys)] for name, entry in measured]
    words = (
        "Pointing game: the map's highest point lies in a box. Chance: the share of the image that the boxes cover. "
        "The centre column is a map that always points at the middle of the image."
    )
    grid = Grid(caption="Maps against readers' boxes, 95 % intervals", columns=("map", "images", *heads), rows=rows)
    return CardSection("Does the map point at the opacity? (radiologists' boxes)", [Text(words), grid])


def _not_shipped(figures: dict[str, Any], missing: list[str]) -> CardSection:
    rows = [[name, interval(figures["held_out"][name]["auroc"])] for name in missing]
    words = (
        "A finding ships when the lower bound of its AUROC on held-out patients (512 px) is above "
        f"{figures['floor']:.2f}, and it has a code. These did not:"
    )
    grid = Grid(caption="Trained, not shipped", columns=("finding", "AUROC"), rows=rows)
    return CardSection("Trained, not shipped", [Text(words), grid])


def data_table(figures: dict[str, Any]) -> Grid | None:
    """How many patients and images of each split, by resolution; None where the evaluation does not say."""
    if not (counts := figures.get("data")):
        return None
    tiers = list(dict.fromkeys(tier for entry in counts.values() for tier in entry["images_by_tier"]))
    rows = [
        [split, str(entry["patients"]), str(entry["images"]), *(str(entry["images_by_tier"].get(t, 0)) for t in tiers)]
        for split, entry in counts.items()
    ]
    columns = ("split", "patients", "images", *(f"{tier} px" for tier in tiers))
    return Grid(caption="Patients and images of each split", columns=columns, rows=rows)


def training_section(material: Material) -> CardSection | None:
    """How it was trained, in the maker's words, and how long it takes where that was measured."""
    items = list(material.prose.get("training", ()))
    if runtime := material.evaluation.get("runtime"):
        speed = number(runtime["images_per_second"])
        items.append(f"Evaluated at {speed} images per second on {runtime['provider']}, threads: {runtime['threads']}.")
    return CardSection("Training", [Bullets(items)]) if items else None
