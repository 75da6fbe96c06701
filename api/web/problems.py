"""Errors over HTTP as problem details (RFC 9457): a title, a status, one sentence, and never a word of the request.

What a foreign exception says may quote patient data, so the log has its class only, and the answer nothing of it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from core.errors import CandorError, answer_for

_log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}
"""For every answer, also for those that the framework gives before or after ours."""


def problem(status: int, detail: str, **more: Any) -> JSONResponse:
    """The response for one problem."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE, headers=SECURITY_HEADERS)


def answer_problems(app: FastAPI) -> None:
    """Let `app` answer every error as a problem."""
    app.add_exception_handler(CandorError, _ours)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_parameters)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(_request: Request, error: Exception) -> JSONResponse:
    return problem(answer_for(error).http_status, str(error))


async def _of_http(_request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    return problem(status, f"{HTTPStatus(status).phrase}: see /api/studies for what there is")


async def _of_parameters(_request: Request, error: Exception) -> JSONResponse:
    """Which parameter is wrong, without its value."""
    names = [str(e["loc"][-1]) for e in error.errors()] if isinstance(error, RequestValidationError) else []
    detail = "a parameter is missing or out of range"
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, parameters=sorted(set(names)))


async def _unexpected(_request: Request, error: Exception) -> JSONResponse:
    _log.error("web.failed", error=type(error).__name__)
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "something unexpected happened; the log of Candor says where")
