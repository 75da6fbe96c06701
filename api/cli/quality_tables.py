"""What a quality check does, as tables on the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from core.statistics.estimate import Rounded
from models.documents.quality import QualityFigures


def print_quality_check(figures: QualityFigures) -> None:
    """False refusals per tier and cohort, and the catch rate per fault, each with its interval."""
    console = Console(highlight=False)
    refused = Table("tier", "adults on the test side", "images", "refused wrongly", title="False refusals")
    for tier, cohorts in figures.false_refusals.items():
        for cohort, row in cohorts.items():
            refused.add_row(f"{tier} px" if cohort == "all" else "", cohort, str(row.images), share(row.share))
    console.print(refused)
    caught = Table("fault", "how", "images", "caught", "by its name", title="Caught")
    for fault in figures.caught:
        caught.add_row(fault.fault, fault.how, str(fault.images), share(fault.caught), share(fault.named))
    console.print(caught)
    for control in figures.controls:
        console.print(f"Control, {control.control}: called a child {share(control.called_child)}, ", end="")
        console.print(f"as sent {share(control.called_child_as_sent)}")


def share(estimate: Rounded) -> str:
    """A share and its interval in percent; "-" where there was nothing to count."""
    value, low, high = estimate
    if value is None or low is None or high is None:
        return "-"
    return f"{100 * value:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
