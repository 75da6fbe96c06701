"""Renders the model card from the evaluation's figures; nothing in it is typed by hand but the prose file's words."""

from __future__ import annotations

from typing import Any


def render(figures: dict[str, Any], prose: dict[str, Any]) -> str:
    """The card as Markdown, from `evaluation.json` and the prose file."""
    parts = (
        _head,
        _findings_table,
        _points_table,
        _cohort_table,
        _localisation,
        _not_shipped,
        _training,
        _data,
        _limits,
    )
    return "\n\n".join(part(figures, prose) for part in parts) + "\n"


def _head(figures: dict[str, Any], prose: dict[str, Any]) -> str:
    model = figures["model"]
    return "\n\n".join(
        [
            f"# {model['name']} {model['version']}",
            f"**{prose['intended_use']}**",
            f"ONNX, opset {model['opset']}, SHA-256 `{model['sha256']}`. EfficientNet-Lite0 at "
            f"{figures['recipe']['network_size']} px; one logit and one class activation map per finding, and the mean "
            "of the map is the logit. Largest difference of ONNX Runtime from torch: "
            f"{_differences(figures)}. This card is made from `docs/evaluation.json`; brackets hold 95 % intervals "
            "(that of ECE, a bootstrap over patients, leans upwards in small samples).",
        ]
    )


def _differences(figures: dict[str, Any]) -> str:
    found = figures["largest_differences_from_torch"]
    return "; ".join(
        f"{found['logits_' + precision]:.1e} in a score, {found['maps_' + precision]:.1e} in a map cell ({precision})"
        for precision in ("float64", "float32")
    )


def _findings_table(figures: dict[str, Any], _prose: dict[str, Any]) -> str:
    lines = [
        "## How well it tells them apart: held-out test patients, adults, 512 px",
        "",
        "| finding | + / - | AUROC | text-mined labels let in | within PA | within AP | average precision | ECE |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name in figures["shipped"]:
        entry = figures["findings"][name]
        everyone, with_text = entry["test_512"]["all"], entry["text_mined_too"]
        cells = [
            entry["words"],
            f"{everyone['positives']} / {everyone['negatives']}",
            _interval(everyone["auroc"]),
            _interval(with_text["auroc"]) if with_text["positives"] != everyone["positives"] else "-",
            _interval(entry["test_512"]["view=PA"]["auroc"]),
            _interval(entry["test_512"]["view=AP"]["auroc"]),
            f"{everyone['average_precision']:.2f}",
            _interval(entry["expected_calibration_error"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _points_table(figures: dict[str, Any], _prose: dict[str, Any]) -> str:
    lines = [
        "## Operating points",
        "",
        "Chosen on validation patients only; the test columns say what became of them on test patients.",
        "",
        "| finding | threshold | sensitivity, validation | specificity, validation | sensitivity, test "
        "| specificity, test |",
        "|---|---|---|---|---|---|",
    ]
    for name in figures["shipped"]:
        entry = figures["findings"][name]
        point, test = entry["operating_point"], entry["test_512"]["all"]
        cells = [
            name,
            f"{point['threshold']:.3f}",
            _interval([point["sensitivity"], *point["sensitivity_interval"]]),
            _interval([point["specificity"], *point["specificity_interval"]]),
            _interval(test["sensitivity"]),
            _interval(test["specificity"]),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cohort_table(figures: dict[str, Any], _prose: dict[str, Any]) -> str:
    names = list(figures["findings"][figures["shipped"][0]]["test_512"])
    lines = [
        "## AUROC within cohorts (test patients, 512 px)",
        "",
        "| finding | " + " | ".join(names) + " | 128 px images |",
        "|---" * (len(names) + 2) + "|",
    ]
    for name in figures["shipped"]:
        entry = figures["findings"][name]
        areas = [_interval(entry["test_512"][cohort]["auroc"]) for cohort in names]
        lines.append("| " + " | ".join([name, *areas, _interval(entry["test_128"]["auroc"])]) + " |")
    return "\n".join(lines)


def _localisation(figures: dict[str, Any], _prose: dict[str, Any]) -> str:
    lines = [
        "## Does the map point at the opacity? (radiologists' boxes)",
        "",
        "Pointing game: the map's highest point lies in a box. Chance: the share of the image that the boxes cover. "
        "The centre column is a map that always points at the middle of the image.",
        "",
        "| images | pointing game | chance | times chance | centre | average precision | IoU at half range |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, entry in figures["localisation"].items():
        if entry["images"]:
            keys = ("pointing", "chance", "times_chance", "pointing_centre", "average_precision", "iou")
            cells = [f"{name}: {entry['images']}", *(_interval(entry[key]) for key in keys)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _not_shipped(figures: dict[str, Any], _prose: dict[str, Any]) -> str:
    missing = [name for name in figures["findings"] if name not in figures["shipped"]]
    lines = [
        "## Trained, not shipped",
        "",
        f"A finding ships when the lower bound of its AUROC on all held-out patients (512 px) is above "
        f"{figures['floor']:.2f}, and it has a code. These did not:",
        "",
    ]
    lines += [f"* {name}: {_interval(figures['held_out'][name]['auroc'])}" for name in missing]
    return "\n".join(lines)


def _training(_figures: dict[str, Any], prose: dict[str, Any]) -> str:
    return "\n".join(["## Training", "", *(f"* {line}" for line in prose["training"])])


def _data(figures: dict[str, Any], prose: dict[str, Any]) -> str:
    lines = [f"## Data\n\n{prose['data_source']}.\n", "| split | patients | images | 512 px | 128 px | 64 px |"]
    lines.append("|---|---|---|---|---|---|")
    for split, counts in figures["data"].items():
        tiers = counts["images_by_tier"]
        lines.append(
            f"| {split} | {counts['patients']} | {counts['images']} | {tiers['512']} | {tiers['128']} | {tiers['64']} |"
        )
    return "\n".join([*lines, "", *(f"* {line}" for line in prose["attribution"])])


def _limits(_figures: dict[str, Any], prose: dict[str, Any]) -> str:
    limits = [
        *prose["not_for"],
        "Most labels were mined from report text and are noisy; sensitivities against them are not sensitivities "
        "against disease.",
        "Train, validation and test images come from one hospital (1992-2015). How it does elsewhere is not known.",
        "Probabilities are calibrated for the mix of findings in this data set, which is richer in disease than a "
        "screening population; lung opacity for the RSNA 2018 mix.",
        "A map shows which region influenced the score, never where disease is.",
    ]
    return "\n".join(["## Limits, and what it is not for", "", *(f"* {line}" for line in limits)])


def _interval(values: list[float | None]) -> str:
    value, low, high = values
    return "-" if value is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"
