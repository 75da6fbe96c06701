"""`candor explain`: a second method's map of a finding that was reported, with its figures and the agreement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import DEFAULT_DATA, Data, opened
from api.cli.progress import shown_progress
from core.wording import number

if TYPE_CHECKING:
    from pipeline.reading.explain_document import MapEntry

app = typer.Typer()
METHODS = "class_activation, grad_cam, hires_cam, integrated_gradients, occlusion, rise or shap"


@app.command(rich_help_panel="Look after")
def explain(
    study: Annotated[
        str, typer.Argument(help="Accession number, StudyInstanceUID, PatientID or pseudonym.", metavar="STUDY")
    ],
    finding: Annotated[str, typer.Option("--finding", help="As the report calls it.", metavar="FINDING")],
    out: Annotated[Path, typer.Option("--out", help="Where picture and figures go.", metavar="DIR")],
    method: Annotated[str, typer.Option("--method", help=f"{METHODS}.", metavar="METHOD")] = "occlusion",
    send: Annotated[
        str, typer.Option("--send", help="Also send it to this destination, as DICOM.", metavar="DESTINATION")
    ] = "",
    data: Data = DEFAULT_DATA,
) -> None:
    """Explain a finding of a reported study by another method, and say how far to trust either map."""
    settings, store = opened(data)
    from api.processes.heartbeat import living
    from pipeline.reading.explain_here import ExplainHere

    def has_worker() -> bool:
        return any(name.startswith("worker/") for name in living(store))

    with shown_progress() as progress:
        here = ExplainHere(store, settings, has_worker=has_worker, progress=progress)
        path = here.explain(study, finding, method, out, send=send)
    typer.echo("\n".join(_lines(path)))


def _lines(path: Path) -> list[str]:
    """What the JSON says, for a terminal."""
    from core.documents.reading import read_document
    from pipeline.reading.explain_document import ExplanationDocument

    document = read_document(ExplanationDocument, path.read_bytes(), path.name)
    lines = [_map_in_words(document.map)]
    if document.report_map:
        lines.append(_map_in_words(document.report_map, "the report's map, "))
    if document.agreement:
        figures = ", ".join(f"{name.replace('_', ' ')} {number(value)}" for name, value in document.agreement.items())
        lines.append(f"agreement of the two: {figures}")
    shows = "it" if document.map.shown else "the plain image and the reason"
    return [*lines, f"{path.with_suffix('.png')} shows {shows}"]


def _map_in_words(found: MapEntry, whose: str = "") -> str:
    figures = found.faithfulness
    if figures is None:
        return f"{whose}{found.method}: not measured"
    withheld = "" if found.shown else f"; not to be shown, because {found.withheld_reason}"
    return (
        f"{whose}{found.method}: deletion {number(figures.deletion_auc, 3)}, "
        f"insertion {number(figures.insertion_auc, 3)}, "
        f"better than {figures.null_percentile:.0f} % of null maps, stability {number(figures.stability)}, "
        f"{figures.forward_passes} forward passes{withheld}"
    )
