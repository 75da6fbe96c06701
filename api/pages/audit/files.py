"""Writes an audit: metrics.csv for machines, audit.json signed for the record, audit.html for people."""

from __future__ import annotations

import csv
from dataclasses import astuple
from pathlib import Path

from api.pages.audit.page import render
from core.documents.reading import text_of
from core.errors import ConfigurationError
from core.wording import in_a_cell
from fairness.audit.document import AuditDocument
from fairness.audit.nouns import COLUMNS, Audit, Row
from fairness.audit.signature import Signer, Verified, sign, verify

METRICS, DOCUMENT, PAGE = "metrics.csv", "audit.json", "audit.html"
_MOST_BYTES = 512 * 1024 * 1024


def write_audit(audit: Audit, out: Path, signer: Signer, *, command: str = "") -> AuditDocument:
    """Write the three files into the folder `out`; returns the document of audit.json."""
    document = sign(audit, signer)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write_metrics(audit, out / METRICS)
        (out / DOCUMENT).write_text(text_of(document), encoding="utf-8")
        page = render(audit, command=command, signed_by=f"{signer.public_key} ({signer.whose} key)")
        (out / PAGE).write_text(page, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written: {error.strerror}") from error
    return document


def _write_metrics(audit: Audit, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(_cells, audit.rows))


def _cells(row: Row) -> list[str | float | int | None]:
    """A line of metrics.csv; names come from a file, and a spreadsheet must not run them."""
    return [in_a_cell(cell) if isinstance(cell, str) else cell for cell in astuple(row)]


def read_audit(path: Path, *, public_key: str = "") -> Verified:
    """The audit in an audit.json, its signature checked (see `verify`)."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigurationError(f"{path} is too large to be an audit.json")
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read as the audit.json of an audit") from error
    return verify(text, public_key=public_key, what=str(path))
