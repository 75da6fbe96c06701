"""The card's sections that come from the gates: fairness audit, explanation gate, quality check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

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

_AUDITED = {"auroc": "AUROC", "sensitivity": "sensitivity", "specificity": "specificity"}
_PICTURES = frozenset({".png", ".jpg", ".jpeg"})


def fairness(material: Material) -> Iterator[CardSection]:
    """For whom it fails: every single cohort of the validation audit, and the gaps that survive Holm."""
    audit = material.audit.get("audit", material.audit)
    if not audit.get("rows"):
        return
    origin = audit["provenance"]
    cells = {(row["finding"], row["metric"], row["cohort"]): row for row in audit["rows"]}
    pairs = dict.fromkeys((finding, cohort) for finding, metric, cohort in cells if metric in _AUDITED)
    single = [(finding, cohort) for finding, cohort in pairs if " & " not in cohort]
    rows = [_audited(finding, cohort, cells) for finding, cohort in single]
    blocks: list[Block] = [
        Text(
            f"Audit of {origin['rows']} images of {origin['patients']} patients; truth: "
            f"{origin.get('truth_source') or 'as in the data'}. Tests made: {origin['tests']}. Cells under "
            f"{origin['smallest_cell']} are withheld. Intersections of two cohorts stand in `docs/audit.json`."
        ),
        _alarms(audit),
        Grid(
            caption="Within each cohort, with 95 % intervals",
            columns=("finding", "cohort", "+ / -", *_AUDITED.values(), "note"),
            rows=rows,
            text_columns=2,
        ),
        Gallery([_forest(finding, single, cells) for finding in dict.fromkeys(finding for finding, _ in single)]),
    ]
    yield CardSection("For whom does it fail?", blocks)


def _audited(finding: str, cohort: str, cells: dict[tuple[str, str, str], dict[str, Any]]) -> list[str]:
    found = [cells.get((finding, metric, cohort), {}) for metric in _AUDITED]
    counted = next((row for row in found if row.get("positives") is not None), {})
    counts = f"{counted['positives']} / {counted['negatives']}" if counted else "-"
    return [finding, cohort, counts, *(_estimate(row) for row in found), _notes(found)]


def _notes(rows: Sequence[dict[str, Any]]) -> str:
    """What is noted of the figures of a cohort, each note once; where they differ, with what it is about."""
    about: dict[str, list[str]] = {}
    for metric, row in zip(_AUDITED, rows, strict=True):
        if row.get("note"):
            about.setdefault(row["note"], []).append(_AUDITED[metric])
    if len(about) == 1:
        return next(iter(about))
    return "; ".join(f"{', '.join(metrics)}: {note}" for note, metrics in about.items())


def _estimate(row: dict[str, Any]) -> str:
    return interval([row.get("value"), row.get("low"), row.get("high")])


def _forest(finding: str, single: list[tuple[str, str]], cells: dict[tuple[str, str, str], dict[str, Any]]) -> Forest:
    rows = []
    for name, cohort in single:
        row = cells.get((finding, "sensitivity", cohort))
        if name == finding and row is not None:
            estimate = [row["value"], row["low"], row["high"]]
            counts = "" if row["positives"] is None else f"{row['positives']}"
            rows.append(ForestRow(label=cohort, estimate=estimate, counts=counts, note=row["note"] or "no data"))
    return Forest(title=f"Sensitivity by cohort: {finding}", value_label="sensitivity", rows=rows)


def _alarms(audit: dict[str, Any]) -> Block:
    alarms = [test for test in audit.get("tests", ()) if test["p_holm"] < 0.05]
    if not alarms:
        return Text("No gap between cohorts survives Holm's correction: that none is there is not shown by this.")
    return Grid(
        caption="Gaps that survive Holm's correction",
        columns=("finding", "metric", "cohort", "gap", "p after Holm"),
        rows=[
            [test["finding"], test["metric"], test["cohort"], number(test["gap"]), f"{test['p_holm']:.2g}"]
            for test in alarms
        ],
        text_columns=3,
    )


def explanation(material: Material) -> Iterator[CardSection]:
    """Whether the maps may be trusted: each test of the gate, its curves and pictures."""
    gate = material.explanation
    if not gate:
        return
    same = gate["sha256"] == material.description["sha256"]
    blocks: list[Block] = []
    if not same:
        blocks.append(Text("The gate was passed by other weights: maps of this version are withheld.", strong=True))
    verdict = "passed" if gate["passed"] else f"failed ({', '.join(gate['failed'])}): its maps are withheld"
    blocks.append(Text(f"Map gate ({gate['method']}): {verdict}. Made on {gate['images']}."))
    if gate.get("weaker"):
        blocks.append(Text(str(gate["weaker"])))
    ends = {True: "passed", False: "failed", None: "not made"}
    rows = [[test["name"], ends[test["passed"]], test["words"]] for test in gate["tests"]]
    blocks.append(
        Grid(caption="Tests of the maps", columns=("test", "result", "what was found"), rows=rows, text_columns=3)
    )
    blocks += _gate_curves(gate.get("curves", {}))
    blocks += _methods(gate.get("comparison", {}))
    pictures = [path for path in sorted((material.folder / "docs").rglob("*")) if path.suffix.lower() in _PICTURES]
    if pictures:
        blocks.append(Gallery([Picture(path=path, words=path.stem.replace("-", " ")) for path in pictures]))
    yield CardSection("Can its maps be trusted?", blocks)


def _methods(comparison: dict[str, Any]) -> list[Block]:
    """Every method on the images that readers boxed, beside chance and the published range."""
    if not comparison.get("methods"):
        return []
    chance = comparison["methods"][0]["chance"]
    rows = [
        [
            one["method"],
            str(one["forward_passes"]),
            *(interval(one[key]) for key in chance),
            f"{one['gain_per_pass']:.5f}",
        ]
        for one in comparison["methods"]
    ]
    rows.append(["chance", "", *(number(value) for value in chance.values()), ""])
    low, high = comparison["published_pneumonia_auprc"]
    words = (
        f"Methods side by side on {comparison['images']} boxed images of {comparison['patients']} patients "
        f"({comparison['finding']}). Published AUPRC for pneumonia: {low:.3f} to {high:.3f}. Most above chance for "
        f"each forward pass: {comparison['most_per_pass']}."
    )
    columns = ("method", "forward passes", *(key.replace("_", " ") for key in chance), "AUPRC gain per pass")
    grid = Grid(caption="Methods on readers' boxes, 95 % intervals over patients", columns=columns, rows=rows)
    return [Text(words), grid]


def _gate_curves(curves: dict[str, Any]) -> list[Block]:
    drawn: list[Curves] = []
    if shuffled := curves.get("randomisation"):
        points = list(zip(shuffled["shares"], shuffled["ssim"], strict=True))
        drawn.append(
            Curves(
                title="Maps while weights are shuffled",
                x_label="share of the layers shuffled",
                y_label="SSIM with the true maps",
                series=[Line(label="SSIM", points=points)],
            )
        )
    for kind in ("deletion", "insertion"):
        found = curves.get("faithfulness", {})
        series = [
            Line(label=name, points=list(zip(one["shares"], one[kind], strict=True)))
            for name, one in found.items()
            if one.get(kind)
        ]
        if series:
            drawn.append(
                Curves(
                    title=kind.capitalize(),
                    x_label="share of the image",
                    y_label="probability",
                    series=series,
                )
            )
    return [Gallery(drawn)] if drawn else []


def quality(material: Material) -> Iterator[CardSection]:
    """What the quality check refuses wrongly, what it catches, and what was not measured."""
    figures = material.quality
    if not figures:
        return
    refused = [
        [f"{tier} px", cohort, str(entry["images"]), str(entry["refused"]), interval(entry["share"], 3)]
        for tier, cohorts in figures["false_refusals"].items()
        for cohort, entry in cohorts.items()
    ]
    caught = [
        [row["fault"], row["how"], row["source"], str(row["images"]), interval(row["caught"]), interval(row["named"])]
        for row in figures["caught"]
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
    for control in figures.get("controls", ()):
        blocks.append(
            Text(
                f"Control: {control['control']} ({control['images']} images): called a child "
                f"{interval(control['called_child'])}, as sent {interval(control['called_child_as_sent'])}, refused "
                f"{interval(control['refused'])}."
            )
        )
    if figures.get("not_measured"):
        blocks += [Text("Not measured:"), Bullets(figures["not_measured"])]
    yield CardSection("Quality check", blocks)
