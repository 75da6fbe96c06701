"""The page of an audit: for whom does it fail, by how much, is that certain?

A radiologist reads the first screen, an engineer opens the findings. Everything on it comes from the `Audit`; what is
withheld or too little is said in words, so that a gap in the page is never taken for a gap in the model.
"""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from api.pages.audit.findings import finding_fold
from api.pages.audit.gaps import Gap, chart_of, gaps_of, lead_of
from api.pages.audit.origin import divisions, provenance, reading_help, thresholds
from api.pages.audit.other_model import other_model
from api.pages.audit.service import service
from api.pages.audit.unknown import unknown
from api.pages.kit import Section, callout, folded, page, paragraph
from core.wording import finding_in_words
from fairness.audit.nouns import Audit
from fairness.service.figures import ANY_FINDING

_SHOWN_GAPS, _FOLDED_GAPS = 12, 100


def render(audit: Audit, *, command: str = "", signed_by: str = "") -> str:
    """The audit as one HTML document.

    `command` is what made it, `signed_by` the fingerprint of the key that signed audit.json; both stand at its end.
    """
    gaps = gaps_of(audit)
    sections = [
        Section(title="Worst cohort first", blocks=_worst(audit, gaps)),
        Section(title="Against the other model", blocks=other_model(audit)),
        Section(title="Finding by finding", blocks=_findings(audit, gaps)),
        Section(title="How the service runs", blocks=service(audit)),
        Section(title="What is not known yet", blocks=unknown(audit)),
        Section(title="How patients were divided", blocks=divisions(audit)),
        Section(title="Thresholds", blocks=thresholds(audit)),
        Section(title="How to read this page", blocks=reading_help(audit)),
        Section(title="Where this comes from", blocks=provenance(audit, command, signed_by)),
    ]
    return page(
        _title(audit), [one for one in sections if one.blocks], subtitle=_subtitle(audit), lead=lead_of(audit, gaps)
    )


def _title(audit: Audit) -> str:
    model = " ".join(word for word in (audit.provenance.model_name, audit.provenance.model_version) if word)
    return f"For whom does {model} fail?" if model else "For whom does the model fail?"


def _subtitle(audit: Audit) -> str:
    origin = audit.provenance
    parts = [
        f"{origin.rows:,} {'image' if origin.rows == 1 else 'images'} of "
        f"{origin.patients:,} {'patient' if origin.patients == 1 else 'patients'}",
        f"{len(_judged(audit))} {'finding' if len(_judged(audit)) == 1 else 'findings'}",
        f"studies from {origin.window[0]} to {origin.window[1]}" if origin.window else "",
        f"truth: {origin.truth_source}" if origin.truth_source else "",
    ]
    return " · ".join(part for part in parts if part)


def _worst(audit: Audit, gaps: Sequence[Gap]) -> list[Markup]:
    worse = [gap for gap in gaps if gap.gap > 0]
    if not audit.tests:
        return [callout("insufficient", "No cohort could be compared with the others.", "See what is not known yet.")]
    if not worse:
        return [paragraph("In no cohort are the figures worse than in everybody else.")]
    intro = paragraph(
        "How many more of the diseased are missed, and how many more of the healthy are flagged, than in all other "
        "patients. Certain gaps come first, then by how large the gap is at least (the lower end of its interval)."
    )
    shown = chart_of(worse[:_SHOWN_GAPS], "The largest gaps, in percentage points. The upright line: no gap.")
    return [intro, shown, *_more_gaps(worse[_SHOWN_GAPS:])]


def _more_gaps(rest: Sequence[Gap]) -> list[Markup]:
    if not rest:
        return []
    listed = rest[:_FOLDED_GAPS]
    beyond = f" The other {len(rest) - len(listed):,} are in metrics.csv." if len(rest) > len(listed) else ""
    return [folded(f"{len(listed):,} smaller gaps", [chart_of(listed, f"Smaller gaps, in percentage points.{beyond}")])]


def _findings(audit: Audit, gaps: Sequence[Gap]) -> list[Markup]:
    """One fold per finding; those with the worst gaps first, and the only one open."""
    rank: dict[str, int] = {}
    for place, gap in enumerate(gaps):
        rank.setdefault(gap.finding, place)
    ordered = sorted(_judged(audit), key=lambda name: (rank.get(name, len(gaps)), finding_in_words(name)))
    return [finding_fold(audit, name, gaps, is_open=len(ordered) == 1) for name in ordered]


def _judged(audit: Audit) -> list[str]:
    """The findings, without what a site's audit files under all of them together."""
    return [finding for finding in audit.findings if finding != ANY_FINDING]
