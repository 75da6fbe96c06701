"""`candor audit --site` and `--drift`: what this node read, for whom it failed, and which cohort left its usual."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from api.pages.audit.files import PAGE, write_audit
from core.settings import Settings
from core.store.store import Store
from core.wording import cohort_in_words
from fairness.audit.nouns import Audit
from fairness.audit.signature import Signer
from pipeline.installed_models import site_registry
from pipeline.watch.drift import watch_cohorts
from pipeline.watch.site_audit import audit_site, keep_audit

COMMAND = "candor audit --site"
SHIPPED = "chest_radiograph"


def audit_this_site(
    settings: Settings, store: Store, *, model: str, by: Sequence[str], findings: Sequence[str], out: Path
) -> list[str]:
    """Audit what this node read, write it signed into `out`, keep it under a number; returns what to tell.

    Reports quote the newest audit that is kept, so one of a few findings or attributes is written, but not kept.
    """
    version = site_registry(settings, store).find(model).model
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Auditing", total=1.0)
        audit = audit_site(
            store,
            settings,
            version,
            by=by,
            findings=findings,
            now=store.now(),
            progress=lambda share, words: progress.update(task, completed=share, description=words),
        )
    write_audit(audit, out, Signer.site(store.key.fairness_signing_seed), command=COMMAND)
    lines = [*_alarms(audit), *audit.provenance.remarks, f"{audit.provenance.rows} images: {out / PAGE}"]
    if by or findings:
        return [*lines, "Not kept, because it speaks of a part only: reports go on quoting the last whole one."]
    kept = keep_audit(store, version, audit)
    return [*lines, f"Kept as audit {kept.audit_id}: reports quote it from now on, where it has enough ground truth."]


def look_for_drift(settings: Settings, store: Store) -> list[str]:
    """Look at this month's cohorts now; returns what to tell."""
    new = watch_cohorts(store, settings, now=store.now())
    lines = [
        f"{alarm.level}: {alarm.finding}, {cohort_in_words(alarm.cohort)}, {alarm.month}: "
        f"{alarm.figure} {alarm.value:.2f}, bound {alarm.bound:.2f}"
        for alarm in new
    ]
    return lines or ["No cohort has newly left its bounds; earlier alarms are shown by: candor status"]


def _alarms(audit: Audit) -> list[str]:
    return [
        f"alarm: {test.finding}, {cohort_in_words(test.cohort)}: {test.metric} {test.gap:+.2f} (p {test.p_holm:.1g} "
        f"after Holm over {audit.provenance.tests} tests)"
        for test in audit.alarms
    ]
