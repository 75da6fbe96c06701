"""Who may do what over HTTP: each route names the permission it needs; each use that matters goes into the trail.

There are no accounts yet, so there is one kind of caller: a person or program on this very machine. A request that
came through a proxy is not one, although its address is; it is turned away. When accounts come, `_permissions_of`
is where roles are looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from fastapi import Request

from api.processes.addresses import is_loopback
from core.domain.trail import TrailEvent
from core.errors import Forbidden
from core.store.store import Store


class Permission(StrEnum):
    """What a route may ask for."""

    SEE_HEALTH = "health.see"
    SEE_METRICS = "metrics.see"
    LIST_STUDIES = "studies.list"
    SEE_STUDY = "study.see"
    EXPLAIN = "study.explain"


RECORDED = frozenset({Permission.LIST_STUDIES, Permission.SEE_STUDY, Permission.EXPLAIN})
"""Permissions whose use is recorded each time; a refusal always is."""

_OF_PROXIES = frozenset(
    "via forwarded x-real-ip true-client-ip client-ip x-client-ip x-cluster-client-ip fastly-client-ip x-remote-ip "
    "x-remote-addr x-remote-user x-host x-url-scheme front-end-https cdn-loop max-forwards x-varnish x-bluecoat-via "
    "wl-proxy-client-ip x-scheme x-rewrite-url x-request-start".split()
)
_OF_PROXIES_BEGIN = (
    "x-forwarded",
    "x-original",
    "x-proxy",
    "x-envoy",
    "x-amz",
    "x-azure",
    "x-appengine",
    "cf-",
    "fly-",
    "proxy-",
)
_FROM_HERE = frozenset({"same-origin", "none"})  # Sec-Fetch-Site: our own page, or a person who typed the address


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks: an account, one day; today the address."""

    name: str
    address: str


def requires(permission: Permission) -> Callable[[Request], Caller]:
    """A dependency that lets through who has `permission` and records it; raises Forbidden for others."""

    def guard(request: Request) -> Caller:
        store: Store = request.app.state.store
        caller = _caller(request)
        allowed = permission in _permissions_of(request, caller)
        if permission in RECORDED or not allowed:
            store.trail.record(_event(permission, caller, allowed, str(request.path_params.get("study_id", ""))))
        if not allowed:
            raise Forbidden(
                "only programs on this machine may ask, and neither through a proxy nor from a page of another site"
            )
        return caller

    guard.permission = permission  # type: ignore[attr-defined]  # read by the test that walks all routes
    return guard


def _caller(request: Request) -> Caller:
    return Caller(name="local", address=request.client.host if request.client else "")


def _permissions_of(request: Request, caller: Caller) -> frozenset[Permission]:
    is_direct = is_loopback(caller.address) and not _came_through_proxy(request) and not _is_of_another_site(request)
    return frozenset(Permission) if is_direct else frozenset()


def _came_through_proxy(request: Request) -> bool:
    """Whether a header is there that only proxies add: the address is then the proxy's."""
    return any(name in _OF_PROXIES or name.startswith(_OF_PROXIES_BEGIN) for name in request.headers)


def _is_of_another_site(request: Request) -> bool:
    """Whether a browser says that a page of another site asks (Fetch, "Origin" and "Sec-Fetch-Site")."""
    if request.headers.get("sec-fetch-site", "none") not in _FROM_HERE:
        return True
    origins = request.headers.getlist("origin")
    return any(origin != f"{request.url.scheme}://{request.headers.get('host', '')}" for origin in origins)


def _event(permission: Permission, caller: Caller, allowed: bool, subject: str) -> TrailEvent:
    return TrailEvent(
        action=f"web.{permission}",
        actor=caller.name,
        outcome="success" if allowed else "refused",
        subject=subject[:64] if subject.isalnum() else "",
        source=caller.address,
    )
