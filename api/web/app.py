"""`candor web`: health, readiness, metrics and a read-only list of studies under their pseudonyms.

Plain HTTP on loopback, on the port (8443) that HTTPS will have once there are accounts, so that monitors need not
change then. Until that day it refuses to listen on any address that another machine could reach.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from api.processes.heartbeat import living
from api.web.metrics import exposition
from api.web.permissions import Permission, is_loopback, requires
from api.web.problems import SECURITY_HEADERS, answer_problems
from api.web.views.explanations import add_explanation_routes
from core.errors import CandorError, ConfigurationError
from core.settings import Settings
from core.store.store import Store
from core.store.studies.overview import Overview, StudyTimes

_NAMES_OF_LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]
_MAXIMUM_PAGE = 1000


def create_app(store: Store, settings: Settings) -> FastAPI:
    """The application on an open store; ConfigurationError when `web_host` is not loopback."""
    if not is_loopback(settings.web_host):
        raise ConfigurationError(
            f"the web process has no accounts yet, so it does not listen on {settings.web_host}, which other machines "
            "can reach; set web_host to 127.0.0.1 and use an SSH tunnel"
        )
    app = FastAPI(title="Candor", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.store, app.state.settings, app.state.overview = store, settings, Overview(store.engine)
    # a page on the internet that points its own name at 127.0.0.1 must not read our answers (DNS rebinding)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_NAMES_OF_LOOPBACK, www_redirect=False)
    app.middleware("http")(_add_security_headers)
    answer_problems(app)
    _add_routes(app)
    return app


async def _add_security_headers(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await go_on(request)
    response.headers.update(SECURITY_HEADERS)
    return response


def _add_routes(app: FastAPI) -> None:
    for path, endpoint, permission in (
        ("/healthz", health, Permission.SEE_HEALTH),
        ("/readyz", readiness, Permission.SEE_HEALTH),
        ("/metrics", metrics, Permission.SEE_METRICS),
        ("/api/studies", list_studies, Permission.LIST_STUDIES),
        ("/api/studies/{study_id}", see_study, Permission.SEE_STUDY),
    ):
        app.add_api_route(path, endpoint, methods=["GET"], dependencies=[Depends(requires(permission))])
    add_explanation_routes(app)


def health() -> dict[str, str]:
    """This process answers; says nothing about the others."""
    return {"status": "ok"}


def readiness(request: Request, response: Response) -> dict[str, Any]:
    """Whether a study sent now would be kept and read: 503 and the reason when not.

    A process counts as alive for ten seconds after its last heartbeat.
    """
    checks = {"database": _database(request), "disk": _disk(request), **_processes(request)}
    ready = all(answer == "ok" for answer in checks.values())
    response.status_code = 200 if ready else 503
    return {"status": "ready" if ready else "not ready", "checks": checks}


def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    return Response(exposition(request.app.state.store, request.app.state.settings), media_type=CONTENT_TYPE_LATEST)


def list_studies(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=_MAXIMUM_PAGE)] = 100,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> dict[str, Any]:
    """The newest studies under their pseudonyms."""
    overview: Overview = request.app.state.overview
    return {"studies": [_study(times) for times in overview.times(limit=limit, offset=offset)]}


def see_study(request: Request, study_id: str) -> dict[str, Any]:
    """One study, with the findings of its newest report."""
    overview: Overview = request.app.state.overview
    store: Store = request.app.state.store
    times = overview.times_of(study_id)
    if times is None:
        raise HTTPException(404)
    report = store.reports.current(study_id)
    shown = ("status", "model", "findings", "cohorts", "limitations")
    return {**_study(times), "report": {k: report.document.get(k) for k in shown} if report else None}


def _study(times: StudyTimes) -> dict[str, Any]:
    return {
        "study_id": times.study_id,
        "state": times.state,
        "reason": times.reason,
        "revision": times.revision,
        "images": times.images,
        "first_received_at": times.first_received_at,
        "last_received_at": times.last_received_at,
        "completed_at": times.completed_at,
        "reported_at": times.reported_at,
        "delivered_at": times.delivered_at,
        "timings_seconds": {hop: round(seconds, 3) for hop, seconds in times.hops().items()},
    }


def _database(request: Request) -> str:
    try:
        request.app.state.overview.ping()
    except CandorError as error:
        return str(error)
    return "ok"


def _disk(request: Request) -> str:
    store: Store = request.app.state.store
    settings: Settings = request.app.state.settings
    free = store.objects.free_bytes()
    return "ok" if free >= settings.minimum_free_bytes else f"{free} bytes are free, below the watermark"


def _processes(request: Request) -> dict[str, str]:
    try:
        alive = living(request.app.state.store)
    except CandorError:
        alive = []
    return {
        "node": "ok" if any(not name.startswith("worker/") for name in alive) else "no node has given a heartbeat",
        "worker": "ok" if any(name.startswith("worker/") for name in alive) else "no worker has given a heartbeat",
    }
