"""Operating policies as tables: which there are, and what one does to every cohort."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from core.documents.reading import read_stored
from core.store.fairness.operating_policies import StoredPolicy
from core.wording import cohort_in_words, rate_in_words
from fairness.mitigation_policy import Effect, OperatingPolicy


def print_policies(policies: Sequence[StoredPolicy]) -> None:
    """One line each, the newest first."""
    table = Table(title="Operating policies", title_justify="left")
    for column in ("number", "state", "model", "by", "proposed", "signed off", "reason"):
        table.add_column(column, overflow="fold")
    for policy in policies:
        signed = f"{escape(policy.signed_by)} {_day(policy.signed_at)}" if policy.signed_at else ""
        model, by = policy.model_sha256[:12], _of(policy).by
        proposed = _day(policy.proposed_at)
        table.add_row(str(policy.policy_id), policy.state, model, by, proposed, signed, escape(policy.reason))
    Console(highlight=False).print(table)


def print_policy(policy: StoredPolicy) -> None:
    """Each finding and cohort before and after, whoever gains or loses."""
    table = Table(title=f"Policy {policy.policy_id}, {policy.state}", title_justify="left")
    for column in ("finding", "cohort", "threshold", "sensitivity", "specificity", "positives", "negatives", "note"):
        table.add_column(column, overflow="fold")
    finding = ""
    for effect in _of(policy).effects:
        if effect.finding != finding:
            table.add_section()
        table.add_row(effect.finding if effect.finding != finding else "", *_cells(effect))
        finding = effect.finding
    console = Console(highlight=False)
    console.print(table)
    console.print(
        "Sensitivity and specificity with 95 % intervals, before -> after, on patients that the threshold was"
    )
    console.print("not chosen on. A cohort with less than 60 with and 60 without the finding keeps its threshold.")


def _cells(effect: Effect) -> tuple[str, ...]:
    before, after = effect.before, effect.after
    threshold = f"{effect.threshold_before:.4f}"
    return (
        escape(cohort_in_words(effect.cohort)),
        f"{threshold} -> {effect.threshold_after:.4f}" if effect.changes else threshold,
        f"{_rate(before.sensitivity)} -> {_rate(after.sensitivity)}",
        f"{_rate(before.specificity)} -> {_rate(after.specificity)}",
        _count(effect.positives),
        _count(effect.negatives),
        escape(effect.note),
    )


def _rate(rate: tuple[float, float, float] | None) -> str:
    return escape(rate_in_words(rate[0], rate[1:])) if rate else "-"


def _count(number: int | None) -> str:
    return "-" if number is None else str(number)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def _of(policy: StoredPolicy) -> OperatingPolicy:
    return read_stored(OperatingPolicy, policy.document, f"operating policy {policy.policy_id}")
