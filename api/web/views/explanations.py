"""Explanations on demand over HTTP: ask for one, see how far it is and what came of it, cancel it.

The figures are given, the picture is not: it shows a patient's image, and there are no accounts yet that could say
who may see it. `candor explain` writes it for a person who has the site key.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Body, Depends, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from api.web.permissions import Permission, requires
from core.documents.model import Document
from core.documents.reading import read_document
from core.domain.explanation_job import ExplanationJob, JobState
from core.store.store import Store
from pipeline.reading.explain_document import ExplanationDocument

_COLLECTION = "/api/studies/{study_id}/explanations"
_ONE = _COLLECTION + "/{job_id}"
_Name = Annotated[str, Body(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_]+$")]


class ExplanationView(Document):
    """One explanation: how far it is, and its figures when it is done."""

    job_id: str
    study_id: str
    finding: str
    method: str
    state: JobState
    forward_passes: int
    forward_passes_expected: int
    asked_at: float
    started_at: float | None
    ended_at: float | None
    reason: str
    result: ExplanationDocument | None


class ExplanationList(Document):
    """The explanations that were asked for of a study."""

    explanations: tuple[ExplanationView, ...]


def add_explanation_routes(app: FastAPI) -> None:
    """Give `app` its routes about explanations."""
    for path, method, endpoint, permission in (
        (_COLLECTION, "POST", ask_for_explanation, Permission.EXPLAIN),
        (_COLLECTION, "GET", list_explanations, Permission.SEE_STUDY),
        (_ONE, "GET", see_explanation, Permission.SEE_STUDY),
        (_ONE, "DELETE", cancel_explanation, Permission.EXPLAIN),
    ):
        app.add_api_route(path, endpoint, methods=[method], dependencies=[Depends(requires(permission))])


def ask_for_explanation(
    request: Request, response: Response, study_id: str, finding: _Name, method: _Name = "occlusion"
) -> ExplanationView:
    """Ask for a second method's map of a finding: 202 and the job, which a worker does; JSON only."""
    # a form that a page on the internet posts here cannot be JSON, so it cannot ask (cross-site request forgery)
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    from pipeline.reading.explain_jobs import ask  # numpy and more: not before somebody asks

    store: Store = request.app.state.store
    _require_study(request, study_id)
    job = ask(store, request.app.state.settings, study_id, finding, method)
    response.status_code = HTTPStatus.ACCEPTED
    response.headers["Location"] = f"/api/studies/{study_id}/explanations/{job.job_id}"
    return _entry(job)


def list_explanations(request: Request, study_id: str) -> ExplanationList:
    """The explanations that were asked for of a study, the newest first."""
    _require_study(request, study_id)
    store: Store = request.app.state.store
    store.explanations.interrupt()
    return ExplanationList(explanations=tuple(map(_entry, store.explanations.of_study(study_id))))


def see_explanation(request: Request, study_id: str, job_id: str) -> ExplanationView:
    """One explanation: how far it is, and its figures when it is done."""
    store: Store = request.app.state.store
    store.explanations.interrupt()
    return _entry(_job(request, study_id, job_id))


def cancel_explanation(request: Request, study_id: str, job_id: str) -> ExplanationView:
    """Cancel an explanation; what is over stays as it is."""
    store: Store = request.app.state.store
    _job(request, study_id, job_id)
    job = store.explanations.cancel(job_id)
    if job is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return _entry(job)


def _require_study(request: Request, study_id: str) -> None:
    if request.app.state.overview.times_of(study_id) is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)


def _job(request: Request, study_id: str, job_id: str) -> ExplanationJob:
    job = request.app.state.store.explanations.find(job_id)
    if job is None or job.study_id != study_id:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return job  # type: ignore[no-any-return]


def _entry(job: ExplanationJob) -> ExplanationView:
    return ExplanationView(
        job_id=job.job_id,
        study_id=job.study_id,
        finding=job.finding,
        method=job.method,
        state=job.state,
        forward_passes=job.passes,
        forward_passes_expected=job.passes_expected,
        asked_at=job.asked_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        reason=job.reason,
        result=read_document(ExplanationDocument, job.document, "the explanation") if job.document else None,
    )
