"""Tables of what was measured: the shipped model's own documents, and the studies of its training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from writers.markdown import table

from core.documents.model import NOTHING
from core.documents.reading import read_file
from core.statistics.estimate import Rounded
from core.wording import number, per_cent, with_interval
from explain.gate.document import Explanation
from explain.gate.result import read_result
from explain.maps.methods import METHODS
from models.documents.quality import QualityFigures
from models.package.format import load_package
from models.registry import ZOO

_FAULTS = {"stranger": "unrelated"}  # shipped packages keep the older name, because their files are pinned by hash
STUDIES = Path(__file__).resolve().parents[1] / "studies"


def tables() -> dict[str, Callable[[], str]]:
    """What writes each table, by the table's name."""
    return {
        "false-refusals": _false_refusals,
        "caught": _caught,
        "explanation-methods": _explanation_methods,
        "explanation-gate": _explanation_gate,
        "explanation-comparison": _explanation_comparison,
        "learning-curve": _learning_curve,
        "variants": _variants,
    }


def _quality_figures() -> QualityFigures:
    figures = read_file(QualityFigures, ZOO / "chest_radiograph" / "docs" / "quality.json")
    assert figures is not None, "the shipped package has a quality check"
    return figures


def _false_refusals() -> str:
    rows = [
        (f"{tier} px", cohort, str(row.images), per_cent(*row.share))
        for tier, cohorts in _quality_figures().false_refusals.items()
        for cohort, row in cohorts.items()
    ]
    return table(("images of", "test adults", "images", "refused wrongly"), rows)


def _caught() -> str:
    rows = [
        (
            _FAULTS.get(row.fault, row.fault),
            row.how,
            row.source,
            str(row.images),
            per_cent(*row.caught),
            per_cent(*row.named),
        )
        for row in _quality_figures().caught
    ]
    return table(("fault", "how", "made from", "images", "caught", "caught by its name"), rows)


def _ablation() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STUDIES / "ablation.json").read_text(encoding="utf-8"))
    return found


def _learning_curve() -> str:
    """AUROC on validation patients by share of the training patients."""
    curve = sorted(_ablation()["learning_curve"].items(), key=lambda item: item[1]["images"])
    findings = list(curve[0][1]["auroc"])
    rows = [
        [share, f"{figures['images']:,}"]
        + [with_interval(*figures["auroc"][finding], digits=3) for finding in findings]
        + [with_interval(*figures["times_chance"], digits=1)]
        for share, figures in curve
    ]
    return table(["patients", "images", *findings, "maps: times chance"], rows)


def _variants() -> str:
    """AUROC of each variant minus that of the recipe, on the same validation images."""
    variants, key = _ablation()["variants"], "auroc_minus_that_of_the_recipe"
    findings = list(next(iter(variants.values()))["auroc"])
    rows = [
        [name]
        + [with_interval(*figures[key][finding], digits=3, sign="+") for finding in findings]
        + [with_interval(*figures["times_chance"], digits=1)]
        for name, figures in variants.items()
    ]
    return table(["variant", *findings, "maps: times chance"], rows)


def _explanation_methods() -> str:
    rows = [
        (
            f"{method.words} (`{method.name}`)",
            f"{method.code.value} {method.code.meaning}",
            method.needs,
            ", ".join(f"{name} {value}" for name, value in method.parameters.items()) or "-",
            "yes" if method.claims_planted_lesion else f"no: {method.why}",
            method.reference,
        )
        for method in METHODS.values()
    ]
    return table(("method", "DICOM code", "needs", "parameters", "planted lesion", "source"), rows)


def _explanation() -> Explanation | None:
    """The gate's result of the shipped chest model, None when it has none for its weights."""
    package = load_package(ZOO / "chest_radiograph")
    found = read_result(package)
    return found if found and found.sha256 == package.model.sha256 else None


def _explanation_gate() -> str:
    found = _explanation()
    ends = {True: "passed", False: "failed", None: "not made"}
    rows = [(test.name, ends[test.passed], test.words) for test in (found.tests if found else ())]
    subject = f"{found.model} {found.version}, on {found.images}" if found else "not run for these weights"
    return table(("test", "result", subject), rows)


def _explanation_comparison() -> str:
    found = _explanation()
    comparison = found.comparison if found else NOTHING
    rows = [
        (
            METHODS[row.method].words,
            ", ".join(f"{name} {value}" for name, value in row.parameters.items()) or "-",
            str(row.forward_passes),
            _estimate(row.pointing, row.chance.pointing),
            _estimate(row.auprc, row.chance.auprc),
            _estimate(row.iou, row.chance.iou),
            f"{row.gain_per_pass:.4f}",
        )
        for row in (comparison.methods if comparison else ())
    ]
    subject = "not measured for these weights"
    if comparison:
        subject = f"on {comparison.images} images of {comparison.patients} patients"
    columns = (f"method, {subject}", "parameters", "passes", "pointing game", "AUPRC", "IoU", "AUPRC gain per pass")
    return table(columns, rows)


def _estimate(estimate: Rounded, chance: float) -> str:
    return f"{with_interval(*estimate, digits=3)}, chance {number(chance, 3)}"
