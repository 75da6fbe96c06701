"""`candor studies` and `candor study`: which studies there are, and everything about one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from api.cli.options import DEFAULT_DATA, PSEUDONYM, Data, Json, opened, said, table_of
from api.cli.studies.choice import Since, clock_time, moment_of, note, studies_called
from core.documents.model import Document
from core.errors import ConfigurationError
from core.wording import probability

if TYPE_CHECKING:
    from core.domain.study import StudyState
    from core.store.store import Store
    from core.store.studies.lookup import FoundStudy
    from pipeline.results_json import StudyEntry


class StudyLine(Document):
    """One study of the list; times are seconds since the epoch."""

    study_id: str
    accession_number: str
    study_date: str
    state: str
    reason: str
    revision: int
    images: int
    sender: str
    last_received_at: float


class ImageLine(Document):
    """One object that came of a study.

    `revision`: the first report that it is in, None while it waits. `read_by`: the models that the newest report had
    read it by.
    """

    role: str
    modality: str
    body_part: str
    view: str
    rows: int
    columns: int
    series_description: str
    revision: int | None
    read_by: tuple[str, ...]
    received_at: float
    header_flags: tuple[str, ...]


class FindingLine(Document):
    """One finding of the newest report."""

    name: str
    flagged: bool
    probability: float
    threshold: float
    model: str


class ObjectLine(Document):
    """One object of a report on its way to one destination; `destination` is empty while none gets it."""

    revision: int
    kind: str
    finding: str
    destination: str
    status: str
    attempts: int
    sent_at: float | None
    committed_at: float | None
    last_error: str


class StudyDetails(StudyLine):
    """One study with its images, and what was found and sent."""

    study_instance_uid: str
    limitations: tuple[str, ...]
    received: tuple[ImageLine, ...]
    findings: tuple[FindingLine, ...]
    objects: tuple[ObjectLine, ...]


class StudyLines(Document):
    """What `candor studies --json` prints."""

    studies: tuple[StudyLine, ...]


class StudiesDetails(Document):
    """What `candor study NAME --json` prints: a patient may have several studies."""

    studies: tuple[StudyDetails, ...]


def studies(
    state: Annotated[str, typer.Option("--state", help="Only those in this state, such as refused.")] = "",
    since: Since = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many at most.")] = 50,
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """List the newest studies: state, why, accession number, pseudonym."""
    _, store = opened(data)
    found = store.lookup.newest(states=states_of(state), since=moment_of(since, store.now()), limit=limit)
    note(store, "studies.listed")
    lines = tuple(_line(study) for study in found)
    if as_json:
        typer.echo(StudyLines(studies=lines).model_dump_json(indent=2))
    else:
        _print_lines(lines, Console(highlight=False))


def study(
    name: Annotated[
        str, typer.Argument(help="Accession number, StudyInstanceUID, PatientID or pseudonym.", metavar="STUDY")
    ],
    data: Data = DEFAULT_DATA,
    as_json: Json = False,
) -> None:
    """Show what became of a study, or of a patient's studies: images, findings, objects and deliveries."""
    _, store = opened(data)
    found = studies_called(store, name)
    for one in found:
        note(store, "study.shown", one.study_id)
    details = tuple(_details(store, one) for one in found)
    if as_json:
        typer.echo(StudiesDetails(studies=details).model_dump_json(indent=2))
        return
    console = Console(highlight=False)
    for shown in details:
        _print_details(shown, console)


def states_of(name: str) -> list[StudyState]:
    """The state of this name, none for ""; ConfigurationError names those that there are."""
    from core.domain.study import StudyState

    wanted = name.strip().lower().replace(" ", "_").replace("-", "_")
    if not wanted:
        return []
    if wanted not in list(StudyState):
        raise ConfigurationError(f"{name!r} is no state of a study; it is one of: {', '.join(StudyState)}")
    return [StudyState(wanted)]


def _line(found: FoundStudy) -> StudyLine:
    return StudyLine(
        study_id=found.study_id,
        accession_number=found.accession_number,
        study_date=found.study_date,
        state=found.state.value,
        reason=found.reason,
        revision=found.revision,
        images=found.images,
        sender=found.calling_ae_title,
        last_received_at=found.last_received_at,
    )


def _details(store: Store, found: FoundStudy) -> StudyDetails:
    from pipeline.results_json import StudyEntry

    report = store.reports.current(found.study_id)
    entry = StudyEntry.model_validate(report.document) if report else None
    return StudyDetails(
        **dict(_line(found)),
        study_instance_uid=found.study_instance_uid,
        limitations=entry.limitations if entry else (),
        received=_received(store, found.study_id, entry),
        findings=tuple(
            FindingLine(
                name=finding.name,
                flagged=bool(finding.flagged),
                probability=finding.probability,
                threshold=finding.operating_point.threshold,
                model=f"{finding.model.name} {finding.model.version}" if finding.model else "",
            )
            for finding in (entry.findings if entry else ())
        ),
        objects=tuple(
            ObjectLine(
                revision=result.revision,
                kind=result.kind.value,
                finding=result.finding_name,
                destination=result.destination,
                status=result.status.value if result.status else "in no outbox",
                attempts=result.attempts,
                sent_at=result.sent_at,
                committed_at=result.committed_at,
                last_error=result.last_error,
            )
            for result in store.lookup.results(found.study_id)
        ),
    )


def _received(store: Store, study_id: str, entry: StudyEntry | None) -> tuple[ImageLine, ...]:
    readings = entry.readings if entry else ()
    return tuple(
        ImageLine(
            role=kept.role.value,
            modality=kept.instance.modality,
            body_part=kept.instance.body_part_examined,
            view=kept.instance.view_position,
            rows=kept.instance.rows,
            columns=kept.instance.columns,
            series_description=kept.instance.series_description,
            revision=kept.revision,
            read_by=tuple(
                f"{reading.model.name} {reading.model.version}"
                for reading in readings
                if kept.instance.sop_instance_uid in reading.instances
            ),
            received_at=kept.received_at,
            header_flags=kept.instance.header_flags,
        )
        for kept in store.lookup.instances(study_id)
    )


def _print_lines(lines: Sequence[StudyLine], console: Console) -> None:
    if not lines:
        console.print("no study is like that")
        return
    shown = table_of("Studies", "last image", "accession", "state", "why", "images", "rev.", PSEUDONYM)
    for line in lines:
        shown.add_row(
            clock_time(line.last_received_at),
            said(line.accession_number),
            line.state.replace("_", " "),
            said(line.reason),
            str(line.images),
            str(line.revision),
            line.study_id,
        )
    console.print(shown)


def _print_details(found: StudyDetails, console: Console) -> None:
    why = f", because {found.reason}" if found.reason else ""
    console.print(f"[bold]Study {found.study_id}[/], accession number {said(found.accession_number or '-')}")
    console.print(f"StudyInstanceUID {said(found.study_instance_uid)}, study date {said(found.study_date or '-')}")
    console.print(f"State: {found.state.replace('_', ' ')}{said(why)}; revision {found.revision}")
    console.print(f"Sent by {said(found.sender)}, last image {clock_time(found.last_received_at)}")
    images = table_of("Received", "at", "what", "modality", "body part", "view", "size", "report", "read by", "header")
    for image in found.received:
        size = f"{image.columns} x {image.rows}" if image.rows else ""
        what = "image" if image.role == "source" else image.role.replace("_", " ")
        about = (image.modality, image.body_part, image.view, size)
        revision = f"rev. {image.revision}" if image.revision else "none yet"
        rest = (revision, ", ".join(image.read_by), said("; ".join(image.header_flags)))
        images.add_row(clock_time(image.received_at), what, *map(said, about), *rest)
    console.print(images)
    if found.findings:
        findings = table_of("Findings", "finding", "", "probability", "point", "model")
        for finding in found.findings:
            flagged = "[bold]flagged[/]" if finding.flagged else "not flagged"
            figures = (probability(finding.probability), probability(finding.threshold))
            findings.add_row(finding.name.replace("_", " "), flagged, *figures, finding.model)
        console.print(findings)
    for limitation in found.limitations:
        console.print(f"Note: {said(limitation)}")
    _print_objects(found.objects, console)


def _print_objects(objects: Sequence[ObjectLine], console: Console) -> None:
    if not objects:
        console.print("No report")
        return
    shown = table_of("Objects", "rev.", "kind", "finding", "destination", "status", "sent", "committed", "last error")
    for one in objects:
        times = (clock_time(one.sent_at), clock_time(one.committed_at))
        names = (one.kind, one.finding.replace("_", " "), one.destination or "-", one.status)
        shown.add_row(str(one.revision), *names, *times, said(one.last_error))
    console.print(shown)
    if any(not one.destination for one in objects):
        console.print("To deliver what no destination has: candor deliver STUDY")
