"""The table of leases."""

from __future__ import annotations

from sqlalchemy import Column, Float, String, Table

from core.store.tables.metadata import metadata

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("expires_at", Float, nullable=False),
)
