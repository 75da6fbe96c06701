"""`candor purge`: remove old studies that are reported and delivered, so that there is room for new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import DEFAULT_DATA, Data, opened
from api.cli.studies.choice import operator, seconds_of
from core.errors import ConfigurationError

if TYPE_CHECKING:
    from core.store.studies.purge import PurgePlan

MIB = 1024**2


def purge(
    older_than: Annotated[
        str, typer.Option("--older-than", help="Studies whose last image came so long ago: 90d, 12h.", metavar="AGE")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also what no destination has, and studies without a delivered report.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = DEFAULT_DATA,
) -> None:
    """Remove images and reports of old studies whose reports were delivered; the trail keeps that they were here."""
    age = seconds_of(older_than)
    _, store = opened(data)
    plan = store.purge.plan(older_than_seconds=age, forced=force)
    typer.echo(_plan_in_words(plan, dry_run=dry_run))
    if dry_run or not plan.study_ids:
        return
    if not yes and not typer.confirm("Remove them for good?"):
        raise ConfigurationError("nothing was removed")
    reason = f"older than {older_than}" + (", forced" if force else "")
    removed = sum(store.purge.remove(study_id, actor=operator(), reason=reason) for study_id in plan.study_ids)
    free = store.objects.free_bytes() / MIB
    typer.echo(f"{removed} {'study is' if removed == 1 else 'studies are'} removed; {free:.0f} MiB are free now")


def _plan_in_words(plan: PurgePlan, *, dry_run: bool) -> str:
    count, size = len(plan.study_ids), plan.size_bytes / MIB
    would = "would be" if dry_run else "will be"
    noun = "study" if count == 1 else "studies"
    lines = [f"{count} {noun} with {plan.objects} objects ({size:.1f} MiB of images) {would} removed"]
    lines += [f"kept: {number} {why}" for why, number in plan.kept.items()]
    return "\n".join(lines)
