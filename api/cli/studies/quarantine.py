"""The commands for objects kept apart: list them, show one, take it in or drop it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from api.cli.options import DEFAULT_DATA, PSEUDONYM, Data, Json, opened, print_json, said, table_of

if TYPE_CHECKING:
    from core.store.store import Store
    from core.store.studies.patient.quarantine import Quarantined
    from dicom_node.intake import ReceivedObject

quarantine = typer.Typer(no_args_is_help=True, help="Decide about objects that were kept apart.")

Number = Annotated[int, typer.Argument(help="Its number in the list.", metavar="NUMBER")]
By = Annotated[str, typer.Option("--as", help="Who decides; kept in the trail.", metavar="NAME")]
Because = Annotated[str, typer.Option("--because", help="Why; kept in the trail.", metavar="TEXT")]


@quarantine.command("list")
def list_(data: Data = DEFAULT_DATA, as_json: Json = False) -> None:
    """List what waits for a decision, without identity."""
    _, store = opened(data)
    found = store.quarantine.held()
    if as_json:
        print_json([_row(item) for item in found])
    elif not found:
        typer.echo("nothing is in the quarantine")
    else:
        Console(highlight=False).print(_table(found))
        typer.echo("Who it is of: candor quarantine show NUMBER")


@quarantine.command()
def show(number: Number, data: Data = DEFAULT_DATA) -> None:
    """Show one object with the patient it names and the patient of its study; shows identity, and the trail says so."""
    _, store = opened(data)
    from core.domain.trail import TrailEvent
    from pipeline.patient.quarantine import header_of

    item = store.quarantine.find(number)
    received = header_of(item, store)
    store.trail.record(
        TrailEvent(action="quarantine.shown", actor="command line", outcome="success", subject=item.study_id)
    )
    Console(highlight=False).print(_details(item, received, store))


@quarantine.command()
def accept(number: Number, by: By, because: Because, data: Data = DEFAULT_DATA) -> None:
    """Take an object in, because it belongs to its study after all; the study is read again."""
    _, store = opened(data)
    from core.store.studies.patient.quarantine import Decision
    from pipeline.patient.quarantine import accept as accept_object

    item = accept_object(number, Decision(by=by, because=because), store)
    typer.echo(f"number {number} is part of study {item.study_id} now; the study is read again")


@quarantine.command()
def drop(number: Number, by: By, because: Because, data: Data = DEFAULT_DATA) -> None:
    """Delete an object from the quarantine for good."""
    _, store = opened(data)
    from core.store.studies.patient.quarantine import Decision
    from pipeline.patient.quarantine import drop as drop_object

    drop_object(number, Decision(by=by, because=because), store)
    typer.echo(f"number {number} was deleted")


def _row(item: Quarantined) -> dict[str, str | int | float]:
    return {
        "number": item.quarantine_id,
        "kind": item.kind.value,
        "study_id": item.study_id,
        "calling_ae_title": item.calling_ae_title,
        "received_at": item.received_at,
        "reason": item.reason,
    }


def _table(found: list[Quarantined]) -> Table:
    table = table_of("Quarantine", "number", "arrived", "from", PSEUDONYM, "reason")
    for item in found:
        table.add_row(
            str(item.quarantine_id),
            _time(item.received_at),
            said(item.calling_ae_title) or "not known",
            item.study_id,
            said(item.reason),
        )
    return table


def _details(item: Quarantined, received: ReceivedObject, store: Store) -> Table:
    """What the object says and what its study says, in two columns."""
    of_study = store.intake.patient_of(item.study_id)
    table = Table(title=f"Number {item.quarantine_id}: {said(item.reason)}", title_justify="left")
    for column in ("", "this object", "its study"):
        table.add_column(column, overflow="fold")
    for name in ("patient_id", "issuer_of_patient_id", "patient_name", "patient_birth_date", "patient_sex"):
        patients = (received.patient, of_study)
        table.add_row(name.replace("_", " "), *(said(getattr(patient, name)) for patient in patients))
    instance = received.instance
    for name, value in (
        ("accession number", received.accession_number),
        ("study date", received.study_date),
        ("modality", instance.modality),
        ("body part, view", f"{instance.body_part_examined} {instance.view_position}"),
        ("rows x columns", f"{instance.rows} x {instance.columns}"),
        ("SOP Instance UID", instance.sop_instance_uid),
        ("Study Instance UID", instance.study_instance_uid),
        ("from", item.calling_ae_title),
        ("arrived", _time(item.received_at)),
    ):
        table.add_row(name, said(value), "")
    return table


def _time(at: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
