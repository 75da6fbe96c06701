"""One event of the trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailEvent:
    """Who did what, when, from where, to which (pseudonymous) subject, and how it ended (PS3.15 A.5)."""

    action: str  # "instance.received", "report.delivered", ...
    actor: str  # AE title, account or process
    outcome: Literal["success", "refused", "failure"]
    subject: str = ""  # a keyed hash, never a UID or a name
    source: str = ""  # address
    reason: str = ""
