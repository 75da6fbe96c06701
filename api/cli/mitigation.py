"""The commands for operating points per cohort: propose, show what they do to everybody, sign off, take back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from api.cli.options import DEFAULT_DATA, Data, opened
from core.wording import DASH, cohort_in_words, count, with_interval

if TYPE_CHECKING:
    from core.store.fairness.operating_policies import StoredPolicy
    from fairness.mitigation_policy import Effect, OperatingPolicy

app = typer.Typer()
mitigation_app = typer.Typer(no_args_is_help=True, help="Operating points per cohort, only ever by signature.")
app.add_typer(mitigation_app, name="mitigation", rich_help_panel="Audit")

Number = Annotated[int, typer.Argument(help="As `candor mitigation show` lists it.", metavar="NUMBER")]
Who = Annotated[str, typer.Option("--as", help="Who answers for it; goes into the trail.", metavar="NAME")]
Why = Annotated[str, typer.Option("--because", help="Why; goes into the trail.", metavar="TEXT")]


@mitigation_app.command("propose")
def propose(
    by: Annotated[str, typer.Option("--by", help="The attribute that divides patients, e.g. view.", metavar="NAME")],
    finding: Annotated[
        list[str] | None, typer.Option("--finding", help="Only this finding; may be repeated.", metavar="NAME")
    ] = None,
    model: Annotated[str, typer.Option("--model", help="The model.", metavar="NAME")] = "chest_radiograph",
    data: Data = DEFAULT_DATA,
) -> None:
    """Propose a threshold for each cohort from verified reads, and show its effect; nothing is switched on."""
    settings, store = opened(data)
    from pipeline.installed_models import site_registry
    from pipeline.watch.mitigation import propose_from_reads

    version = site_registry(settings, store).find(model).model
    number, _ = propose_from_reads(store, settings, version, by, finding or [])
    print_policy(store.operating_policies.find(number))
    typer.echo(f'To switch it on: candor mitigation sign-off {number} --as NAME --because "..."')


@mitigation_app.command("show")
def show(
    number: Annotated[int | None, typer.Argument(help="One policy with its effect.", metavar="[NUMBER]")] = None,
    data: Data = DEFAULT_DATA,
) -> None:
    """List the policies, or show one with its effect on every cohort."""
    _, store = opened(data)
    if number is None:
        print_policies(store.operating_policies.all())
    else:
        print_policy(store.operating_policies.find(number))


@mitigation_app.command("sign-off")
def sign_off(
    number: Number,
    who: Who,
    why: Why,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask again.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Show a proposal's effect on every cohort, and put it in force when that is confirmed."""
    settings, store = opened(data)
    from pipeline.installed_models import site_registry
    from pipeline.watch.mitigation import sign_off_for_installed

    policy = store.operating_policies.find(number)
    print_policy(policy)
    if not yes:
        typer.confirm("Shall these thresholds count from now on?", abort=True)
    sha256s = [package.model.sha256 for package in site_registry(settings, store).packages]
    sign_off_for_installed(store, policy, sha256s, by=who, reason=why)
    typer.echo(f"Policy {number} is in force; every report that uses it says so. Back: candor mitigation off {number}")


@mitigation_app.command("off")
def off(number: Number, who: Who, why: Why, data: Data = DEFAULT_DATA) -> None:
    """Take a policy out of force: the operating points of all patients count again."""
    _, store = opened(data)
    store.operating_policies.end(number, by=who.strip()[:128], reason=why.strip())
    typer.echo(f"Policy {number} is no longer in force")


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
    """Each finding and cohort before and after, gains and losses alike."""
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


def _of(policy: StoredPolicy) -> OperatingPolicy:
    from core.documents.reading import read_stored
    from fairness.mitigation_policy import OperatingPolicy

    return read_stored(OperatingPolicy, policy.document, f"operating policy {policy.policy_id}")


def _cells(effect: Effect) -> tuple[str, ...]:
    before, after = effect.before, effect.after
    threshold = f"{effect.threshold_before:.4f}"
    return (
        escape(cohort_in_words(effect.cohort)),
        f"{threshold} -> {effect.threshold_after:.4f}" if effect.changes else threshold,
        f"{_rate(before.sensitivity)} -> {_rate(after.sensitivity)}",
        f"{_rate(before.specificity)} -> {_rate(after.specificity)}",
        count(effect.positives),
        count(effect.negatives),
        escape(effect.note),
    )


def _rate(rate: tuple[float, float, float] | None) -> str:
    return escape(with_interval(*rate)) if rate else DASH


def _day(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).date().isoformat()
