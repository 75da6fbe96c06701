"""Studies over HTTP: the newest ones, and one with the findings of its report, under their pseudonyms."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request
from starlette.exceptions import HTTPException

from api.web.permissions import Permission, requires
from core.documents.model import Document
from core.domain.study import StudyState
from core.store.store import Store
from core.store.studies.overview import Overview, StudyTimes
from pipeline.results_json import CohortEntry, Entry, FindingView, ModelEntry

MOST_STUDIES = 1000


class StudyRow(Document):
    """One study: how far it is, and how long each hop took. Times are seconds since the epoch."""

    study_id: str
    state: StudyState
    reason: str
    revision: int
    images: int
    first_received_at: float
    last_received_at: float
    completed_at: float | None
    reported_at: float | None
    delivered_at: float | None
    timings_seconds: dict[str, float]


class StudyList(Document):
    """The newest studies."""

    studies: tuple[StudyRow, ...]


class ReportView(Entry):
    """What the newest report says: no UID of an image, and nothing that identifies a person."""

    status: str
    model: ModelEntry | None = None
    findings: tuple[FindingView, ...] = ()
    cohorts: tuple[CohortEntry, ...] = ()
    limitations: tuple[str, ...] = ()


class StudyView(StudyRow):
    """One study with its newest report."""

    report: ReportView | None


def add_study_routes(app: FastAPI) -> None:
    """Give `app` its routes about studies."""
    for path, endpoint, permission in (
        ("/api/studies", list_studies, Permission.LIST_STUDIES),
        ("/api/studies/{study_id}", see_study, Permission.SEE_STUDY),
    ):
        app.add_api_route(path, endpoint, methods=["GET"], dependencies=[Depends(requires(permission))])


def list_studies(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=MOST_STUDIES)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> StudyList:
    """The newest studies under their pseudonyms."""
    overview: Overview = request.app.state.overview
    return StudyList(studies=tuple(_study(times) for times in overview.times(limit=limit, offset=offset)))


def see_study(request: Request, study_id: str) -> StudyView:
    """One study, with the findings of its newest report."""
    overview: Overview = request.app.state.overview
    store: Store = request.app.state.store
    times = overview.times_of(study_id)
    if times is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    report = store.reports.current(study_id)
    shown = ReportView.model_validate(report.document) if report else None
    return StudyView(**dict(_study(times)), report=shown)


def _study(times: StudyTimes) -> StudyRow:
    return StudyRow(
        study_id=times.study_id,
        state=times.state,
        reason=times.reason,
        revision=times.revision,
        images=times.images,
        first_received_at=times.first_received_at,
        last_received_at=times.last_received_at,
        completed_at=times.completed_at,
        reported_at=times.reported_at,
        delivered_at=times.delivered_at,
        timings_seconds={hop: round(seconds, 3) for hop, seconds in times.hops().items()},
    )
