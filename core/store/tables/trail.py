"""The tables of the trail: its events, each sealed to the one before, and the sealed head."""

from __future__ import annotations

from sqlalchemy import Column, Integer, String, Table, Text

from core.store.tables.metadata import metadata

trail_events = Table(
    "trail_events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", String(32), nullable=False, index=True),  # ISO 8601, UTC
    Column("action", String(64), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("subject", String(64), nullable=False, index=True),
    Column("source", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

trail_head = Table(
    "trail_head",
    metadata,
    Column("head_id", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("seal", String(64), nullable=False),
)
