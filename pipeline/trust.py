"""Which maps are shown once it is known how far to trust them, and which are withheld, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.domain.explanation import Faithfulness, Saliency
from core.domain.report import Finding

LOWEST_STABILITY = 0.8
"""SSIM, as in the registration gate: a map that small changes of the image move more says little of the image."""
NULL_MAPS_MEDIAN = 50.0
"""Below it, more than half of the maps that cannot know the model do better on this image."""
UNMEASURED = "how far to trust it is not measured"
"""Why a map without figures is not shown, to follow "Map withheld because"."""
NOT_MEASURED = (
    "How far to trust the map was not measured when this report was made; the map is drawn only where it is measured."
)


def withhold(saliencies: tuple[Saliency, ...], gate: str) -> tuple[Saliency, ...]:
    """The maps as they may be shown; `gate`: why the model's maps are withheld, "" when they passed."""
    return withhold_all(saliencies, gate) if gate else withhold_unfaithful(saliencies)


def located(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The findings whose maps are made: above the operating point, and of a kind that has a place in the image."""
    return tuple(finding.name for finding in findings if finding.is_positive and not finding.is_general)


def withhold_all(saliencies: tuple[Saliency, ...], reason: str) -> tuple[Saliency, ...]:
    """Show none of the maps: their model did not pass its gate."""
    return tuple(replace(saliency, shown=False, withheld_reason=reason) for saliency in saliencies)


def withhold_unfaithful(saliencies: tuple[Saliency, ...]) -> tuple[Saliency, ...]:
    """Withhold the maps that their own figures speak against, and those without figures."""
    return tuple(_withhold_unfaithful(saliency) for saliency in saliencies)


def say_unmeasured(saliencies: tuple[Saliency, ...]) -> tuple[str, ...]:
    """Say, as a limitation, that a map is withheld because it has no figures."""
    return (NOT_MEASURED,) if any(s.withheld_reason == UNMEASURED for s in saliencies) else ()


def distrust(measured: Faithfulness) -> str:
    """Why a map with these figures is not shown, to follow "Map withheld because"; "" when it is."""
    if measured.null_percentile < NULL_MAPS_MEDIAN:
        better = 100.0 - measured.null_percentile
        return f"{better:.0f} % of maps that cannot know the model are as good on this image"
    if measured.stability < LOWEST_STABILITY:
        return f"small changes of the image move it (stability {measured.stability:.2f}, at least {LOWEST_STABILITY})"
    return ""


def _withhold_unfaithful(saliency: Saliency) -> Saliency:
    if not saliency.shown:
        return saliency
    reason = distrust(saliency.faithfulness) if saliency.faithfulness else UNMEASURED
    return replace(saliency, shown=False, withheld_reason=reason) if reason else saliency
