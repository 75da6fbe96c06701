"""Who may do what over HTTP: each route names the permission it needs; each use that matters goes into the trail.

There are no accounts yet, so there is one kind of caller: a person or program on this very machine. A request that
came through a proxy is not one, although its address is; it is turned away. When accounts come, `_permissions_of`
is where roles are looked up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

from fastapi import Request

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

_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


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
            raise Forbidden("only programs on this machine may ask, and not through a proxy")
        return caller

    guard.permission = permission  # type: ignore[attr-defined]  # read by the test that walks all routes
    return guard


def is_loopback(address: str) -> bool:
    """Whether `address` is one that only this machine can reach."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _caller(request: Request) -> Caller:
    return Caller(name="local", address=request.client.host if request.client else "")


def _permissions_of(request: Request, caller: Caller) -> frozenset[Permission]:
    came_through_proxy = any(header in request.headers for header in _FORWARDED)
    return frozenset(Permission) if is_loopback(caller.address) and not came_through_proxy else frozenset()


def _event(permission: Permission, caller: Caller, allowed: bool, subject: str) -> TrailEvent:
    return TrailEvent(
        action=f"web.{permission}",
        actor=caller.name,
        outcome="success" if allowed else "refused",
        subject=subject[:64] if subject.isalnum() else "",
        source=caller.address,
    )
