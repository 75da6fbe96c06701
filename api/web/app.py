"""`candor web`: health, readiness, metrics and a read-only list of studies under their pseudonyms.

Plain HTTP on loopback, on the port (8443) that HTTPS will have once there are accounts, so that monitors need not
change then. Until that day it refuses to listen on any address that another machine could reach.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from fastapi import Depends, FastAPI, Request, Response
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import RedirectResponse
from prometheus_client import CONTENT_TYPE_LATEST

from api.processes.addresses import is_loopback
from api.processes.heartbeat import living, starting
from api.web.bounds import BoundedBodies
from api.web.metrics import exposition
from api.web.permissions import Permission, requires
from api.web.problems import SECURITY_HEADERS, answer_problems
from api.web.views.explanations import add_explanation_routes
from api.web.views.studies import add_study_routes
from core.documents.model import Document
from core.errors import CandorError, ConfigurationError
from core.files import disk_shortage
from core.settings import Settings
from core.store.store import Store
from core.store.studies.overview import Overview
from pipeline.installed_models import say_whether_any_is_live
from pipeline.watch.warnings import warnings_of

_NAMES_OF_LOOPBACK = ["localhost", "127.0.0.1", "[::1]"]


class Readiness(Document):
    """Whether a study sent now would be kept and read; `checks`: "ok" or why not, by what was looked at.

    `warnings`: what does not keep it from being read, such as that no destination would get its report.
    """

    status: str
    checks: dict[str, str]
    warnings: tuple[str, ...] = ()


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
    app.add_middleware(BoundedBodies)
    answer_problems(app)
    _add_routes(app)
    return app


async def _add_security_headers(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await go_on(request)
    response.headers.update(SECURITY_HEADERS)
    return response


def _add_routes(app: FastAPI) -> None:
    for path, endpoint, permission in (
        ("/", front, Permission.SEE_HEALTH),
        ("/healthz", health, Permission.SEE_HEALTH),
        ("/readyz", readiness, Permission.SEE_HEALTH),
        ("/metrics", metrics, Permission.SEE_METRICS),
    ):
        app.add_api_route(path, endpoint, methods=["GET"], dependencies=[Depends(requires(permission))])
    add_study_routes(app)
    add_explanation_routes(app)


def front() -> Response:
    """Leads to what a person who types the address wants to know: is it ready?"""
    return RedirectResponse("/readyz", status_code=HTTPStatus.TEMPORARY_REDIRECT)


def health() -> dict[str, str]:
    """This process answers; says nothing about the others."""
    return {"status": "ok"}


def readiness(request: Request, response: Response) -> Readiness:
    """Whether a study sent now would be kept and read: 503 and the reason when not.

    A process counts as alive for ten seconds after its last heartbeat.
    """
    checks = {"database": _database(request), "disk": _disk(request), **_processes(request), **_models(request)}
    ready = all(answer == "ok" for answer in checks.values())
    response.status_code = 200 if ready else 503
    return Readiness(status="ready" if ready else "not ready", checks=checks, warnings=_warnings(request))


def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    return Response(exposition(request.app.state.store, request.app.state.settings), media_type=CONTENT_TYPE_LATEST)


def _database(request: Request) -> str:
    try:
        request.app.state.overview.ping()
    except CandorError as error:
        return str(error)
    return "ok"


def _warnings(request: Request) -> tuple[str, ...]:
    try:
        return warnings_of(request.app.state.store, request.app.state.settings)
    except CandorError:
        return ()  # the check of the database says why


def _disk(request: Request) -> str:
    store: Store = request.app.state.store
    settings: Settings = request.app.state.settings
    free = store.objects.free_bytes()
    return disk_shortage(free, settings.minimum_free_bytes) or "ok"


def _models(request: Request) -> dict[str, str]:
    """Says that no model is live, where that is so; nothing else."""
    try:
        why_not = say_whether_any_is_live(request.app.state.settings, request.app.state.store)
    except CandorError:
        return {}  # the database is away, which has a line of its own
    return {"models": why_not} if why_not else {}


def _processes(request: Request) -> dict[str, str]:
    try:
        alive, coming = living(request.app.state.store), starting(request.app.state.store)
    except CandorError:
        alive, coming = [], []
    worker = "the worker is starting (models are loading)" if coming else "no worker has given a heartbeat"
    return {
        "node": "ok" if any(not name.startswith("worker/") for name in alive) else "no node has given a heartbeat",
        "worker": "ok" if any(name.startswith("worker/") for name in alive) else worker,
    }
