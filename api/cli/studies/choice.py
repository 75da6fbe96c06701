"""What the commands about studies share: which studies are meant, since when, and who asks."""

from __future__ import annotations

import getpass
import os
import re
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import ConfigurationError

if TYPE_CHECKING:
    from core.store.store import Store
    from core.store.studies.lookup import FoundStudy

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}

Since = Annotated[
    str, typer.Option("--since", help="Those that got an image since then: 2026-11-24, or 7d, 12h.", metavar="WHEN")
]


def seconds_of(age: str) -> float:
    """The seconds of an age such as 90d, 12h or 2w; ConfigurationError when it is none."""
    match = re.fullmatch(r"(\d{1,9})([smhdw])", age.strip())
    if match is None:
        raise ConfigurationError(f"{age!r} is no age; write a number and a unit: 90d, 12h, 2w")
    return float(int(match[1]) * UNITS[match[2]])


def moment_of(when: str, now: float) -> float:
    """Seconds since the epoch of a date, a date with a time (local), or an age before now; 0 for ""."""
    if not when:
        return 0.0
    if re.fullmatch(r"\d+[smhdw]", when.strip()):
        return now - seconds_of(when)
    try:
        return datetime.fromisoformat(when.strip()).timestamp()
    except ValueError:
        raise ConfigurationError(
            f"{when!r} is no date; write 2026-11-24, 2026-11-24T18:30, or an age such as 7d or 12h"
        ) from None


def clock_time(at: float | None) -> str:
    """A moment in local time, for a person; "" for none."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""


def operator() -> str:
    """Who is at the keyboard, as the trail names them."""
    try:
        return f"operator/{getpass.getuser()}"
    except (KeyError, OSError):  # an account without an entry in the password file
        return f"operator/{os.getuid()}"


def studies_called(store: Store, name: str) -> list[FoundStudy]:
    """The studies that a person means; ConfigurationError when there is none."""
    found = store.lookup.find(name)
    if not found:
        raise ConfigurationError(
            "no study is called that; give its accession number, StudyInstanceUID, PatientID or pseudonym "
            "(candor studies lists them)"
        )
    return found


def note(store: Store, action: str, subject: str = "", reason: str = "") -> None:
    """Write what a person did into the trail."""
    from core.domain.trail import TrailEvent

    store.trail.record(TrailEvent(action=action, actor=operator(), outcome="success", subject=subject, reason=reason))
