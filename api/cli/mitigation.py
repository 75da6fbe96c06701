"""The commands for operating points per cohort: propose, show what they do to everybody, sign off, take back."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.options import DEFAULT_DATA, Data, opened

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
    from api.cli.mitigation_tables import print_policy
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
    from api.cli.mitigation_tables import print_policies, print_policy

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
    from api.cli.mitigation_tables import print_policy
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
