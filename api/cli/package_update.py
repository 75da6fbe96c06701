"""Put the figures of an evaluation into the package, and audit them."""

from __future__ import annotations

import shutil
from pathlib import Path

from api.cli.audit_file import audit_predictions
from api.pages.audit.files import DOCUMENT, METRICS
from api.pages.card.card import write_card
from fairness.audit.nouns import Audit
from models.package.format import ModelPackage
from pipeline.registration.evaluate import EVALUATION, PREDICTIONS, question


def audit_held_out(package: ModelPackage, out: Path) -> Audit:
    """For whom does it fail? The audit of the predictions that `evaluate` left in `out`, written beside them."""
    return audit_predictions(out / PREDICTIONS, question(package), out, None)


def put_into_package(folder: Path, out: Path) -> None:
    """Make what is in `out` the package's own word on itself, without the table that names patients by number."""
    for name, inside in ((EVALUATION, EVALUATION), (DOCUMENT, DOCUMENT), (METRICS, "audit.csv")):
        shutil.copyfile(out / name, folder / "docs" / inside)
    write_card(folder)
