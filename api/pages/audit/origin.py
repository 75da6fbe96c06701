"""What a reader needs to trust an audit's page: divisions and missing rates, thresholds, words, provenance."""

from __future__ import annotations

from markupsafe import Markup

from api.pages.kit import Row as Line
from api.pages.kit import bars, facts, folded, table
from api.pages.kit.markup import tag
from core.wording import finding_in_words
from fairness.audit.nouns import Audit, Provenance


def divisions(audit: Audit) -> list[Markup]:
    """The attributes that divide patients, and for how many images each is not known."""
    attributes = audit.provenance.attributes
    if not attributes:
        return []
    drawn = [
        Line(
            label=one.name.replace("_", " "),
            value=None if one.missing_rate is None else 100 * one.missing_rate,
            counts=f"{len(one.values)}",
            note="withheld" if one.missing_rate is None else "",
        )
        for one in sorted(attributes, key=lambda one: -(one.missing_rate or 0.0))
    ]
    chart = bars(
        drawn,
        caption="Images for which the attribute is not known. They are a cohort of their own, never left out.",
        value_label="not known, %",
        counts_label="cohorts",
        bounds=(0.0, 100.0),
        digits=1,
    )
    listed = facts({one.name.replace("_", " "): ", ".join(one.values) for one in attributes})
    return [chart, folded("The cohorts of each attribute", [listed])]


def thresholds(audit: Audit) -> list[Markup]:
    """The thresholds that sensitivity and specificity were judged by."""
    chosen = audit.provenance.thresholds
    if not chosen:
        return []
    body = [[finding_in_words(one.finding), one.source, f"{one.value:.3f}"] for one in chosen]
    return [
        table(
            ["finding", "who chose it", "threshold"],
            body,
            caption="A probability from the threshold on is flagged.",
            text_columns=2,
        )
    ]


def reading_help(audit: Audit) -> list[Markup]:
    """The words of the page, for who does not read audits every day."""
    smallest = audit.provenance.smallest_cell
    words = {
        "95 % interval": "What the figure could be, were other patients drawn. It belongs to the number of diseased "
        "(or healthy), not to the size of the cohort.",
        "Holm": "The gap survives Holm's correction for the number of comparisons: one false alarm in twenty audits.",
        "BH": "It survives Benjamini-Hochberg's: of all gaps so marked, one in twenty is chance. Worth a look.",
        "not enough data": "Fewer than 30 diseased (sensitivity) or healthy (specificity): too few to say anything.",
        **({} if smallest == 1 else {"withheld": f"A cell of fewer than {smallest}, or one that would give it away."}),
        "not given": "It was not given; a cohort of its own, because those who are not described are not average.",
        "AUROC": "The chance that a diseased patient gets the higher score than a healthy one; 0.5 is a coin.",
        "ECE": "How far the probabilities are from what happened, on average. It leans upwards in small cohorts.",
    }
    return [facts(words)]


def provenance(audit: Audit, command: str, signed_by: str) -> list[Markup]:
    """Enough to make the audit again, and to see whether this one was touched."""
    origin = audit.provenance
    known = {name: value for name, value in _facts(origin, command, signed_by).items() if value}
    remarks = [tag("ul", *(tag("li", remark) for remark in origin.remarks))] if origin.remarks else []
    return [*remarks, facts(known)]


def _facts(origin: Provenance, command: str, signed_by: str) -> dict[str, str | Markup]:
    model = " ".join(word for word in (origin.model_name, origin.model_version) if word)
    return {
        "Made from": origin.source,
        "Its SHA-256": _code(origin.input_sha256),
        "Command": _code(command),
        "Model": model,
        "The model's SHA-256": _code(origin.model_sha256),
        "Ground truth": origin.truth_source,
        "Images and patients": f"{origin.rows:,} and {origin.patients:,}"
        + ("; some patients have several, intervals respect it" if origin.patients_repeat else ""),
        "Comparisons": f"{origin.tests:,}",
        "Bootstrap draws": f"{origin.bootstrap_draws:,}, seed {origin.seed}" if origin.bootstrap_draws else "",
        "Code version": _code(origin.code_version),
        "Made at": origin.made_at,
        "Signed by": _code(signed_by),
        "Figures": "metrics.csv and audit.json in the same folder; audit.json is what is signed"
        if signed_by
        else "metrics.csv and audit.json in the same folder",
    }


def _code(text: str) -> str | Markup:
    return tag("code", text) if text else ""
