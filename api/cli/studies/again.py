"""`candor read` and `candor deliver`: read studies once more, and send their reports once more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import DEFAULT_DATA, Data, opened
from api.cli.studies.choice import Since, moment_of, note, studies_called
from core.errors import ConfigurationError

if TYPE_CHECKING:
    from core.domain.study import StudyState
    from core.store.store import Store

Names = Annotated[
    list[str] | None,
    typer.Argument(help="Accession number, StudyInstanceUID, PatientID or pseudonym.", metavar="[STUDY]..."),
]

_CORRECTED = "the patient was corrected, and the report under the right name is sent as soon as it is there"


def read(
    names: Names = None,
    refused: Annotated[bool, typer.Option("--refused", help="Every study that no model took.")] = False,
    since: Since = "",
    data: Data = DEFAULT_DATA,
) -> None:
    """Read studies again with the models that are live now; the new report replaces the one before."""
    _, store = opened(data)
    from core.domain.study import StudyState

    states = [StudyState.REFUSED] if refused else [*_reported(), StudyState.FAILED]
    chosen = _chosen(store, names or [], states, since, whole=refused)
    if chosen is None:
        raise ConfigurationError("say which studies: candor read STUDY, --refused or --since 7d")
    taken = store.studies.read_again(chosen)
    for study_id in taken:
        note(store, "study.read_again", study_id)
    typer.echo(_read_in_words(len(taken), len(chosen) - len(taken), has_worker=_has_worker(store)))


def deliver(
    names: Names = None,
    since: Since = "",
    everything: Annotated[bool, typer.Option("--all", help="Every study that has a report.")] = False,
    to: Annotated[str, typer.Option("--to", help="Only to this destination.", metavar="NAME")] = "",
    missing: Annotated[
        bool, typer.Option("--missing", help="Only what a destination never took; else all is sent once more.")
    ] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Send the newest reports to a destination that was added later, or that lost them."""
    settings, store = opened(data)
    from pipeline.deliver import deliver_again

    if not settings.destinations:
        raise ConfigurationError("no destination is configured; add one below [[destinations]] in candor.toml")
    if to:
        settings.destination(to)
    chosen = _chosen(store, names or [], _reported(), since, whole=everything)
    if chosen is None:
        raise ConfigurationError("say which studies: candor deliver STUDY, --since 7d or --all")
    counts = deliver_again(store, settings, chosen, to=to, only_missing=missing)
    for study_id in chosen:
        note(store, "report.delivery_requested", study_id, to)
    lines = [f"{_many(count, 'object')} in line for {name}" for name, count in counts.items()]
    typer.echo("\n".join([f"{_many(len(chosen), 'study', 'studies')}:", *lines, *_withheld(store, chosen)]))
    if not _has_worker(store):
        typer.echo("no worker runs; it delivers when it does: candor serve")


def _withheld(store: Store, chosen: list[str]) -> list[str]:
    """Of which studies nothing is sent, because their patient was corrected and the new report is not there yet."""
    newest = [report.revision for study_id in chosen if (report := store.reports.current(study_id))]
    count = sum(store.corrections.is_former(revision.study_id, revision.revision) for revision in newest)
    return [f"nothing is sent of {_many(count, 'study', 'studies')}: {_CORRECTED}"] if count else []


def _reported() -> list[StudyState]:
    """States of a study that has a report."""
    from core.domain.study import StudyState

    return [StudyState.REPORTED, StudyState.NOT_ANALYSED, StudyState.REFUSED]


def _chosen(store: Store, names: list[str], states: list[StudyState], since: str, *, whole: bool) -> list[str] | None:
    """The pseudonyms of the studies that are meant, oldest first; None when a person said nothing."""
    if names:
        return list(dict.fromkeys(found.study_id for name in names for found in studies_called(store, name)))
    if not (whole or since):
        return None
    found = store.lookup.newest(states=states, since=moment_of(since, store.now()))
    return [study.study_id for study in reversed(found)]


def _has_worker(store: Store) -> bool:
    from api.processes.heartbeat import living

    return any(name.startswith("worker/") for name in living(store))


def _read_in_words(taken: int, left: int, *, has_worker: bool) -> str:
    words = f"{_many(taken, 'study', 'studies')} will be read again, with the models that the worker has loaded"
    if left:
        words += f"; {_many(left, 'study is', 'studies are')} being received or read, or without an image"
    return words if has_worker else f"{words}\nno worker runs; it reads when it does: candor serve"


def _many(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"
