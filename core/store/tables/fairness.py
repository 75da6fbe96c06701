"""The tables of the fairness audit: readings, ground truth, audits of this site, alarms, operating policies.

Rows name studies and patients by pseudonym only. `readings.facts` holds free text of the header (institution,
station): it stays in this encrypted database and never enters a log, a metric or an error.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from core.store.tables.metadata import metadata

readings = Table(
    "readings",
    metadata,
    Column("report_id", String(48), nullable=False),  # study_id.revision
    Column("study_id", String(32), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("patient", String(32), nullable=False),  # keyed hash
    Column("status", String(16), nullable=False),
    Column("model_name", String(64), nullable=False),
    Column("model_version", String(32), nullable=False),
    Column("model_sha256", String(64), nullable=False),
    Column("facts", JSON, nullable=False),  # core.domain.reading.CohortFacts
    Column("probabilities", JSON, nullable=False),
    Column("above", JSON, nullable=False),  # finding -> at or above its operating point
    Column("turnaround_seconds", Float, nullable=True),
    Column("read_at", Float, nullable=False),
    PrimaryKeyConstraint("report_id", "model_name", "model_version"),
)
Index("ix_readings_model", readings.c.model_sha256, readings.c.read_at)

truths = Table(
    "truths",
    metadata,
    Column("truth_id", Integer, primary_key=True, autoincrement=True),
    Column("study_id", String(32), nullable=False, index=True),
    Column("finding", String(64), nullable=False),
    Column("value", Boolean, nullable=False),
    Column("source", String(16), nullable=False),  # core.domain.reading.TruthSource
    Column("reader", String(32), nullable=False),  # keyed hash
    Column("ai_seen", Boolean, nullable=False),
    Column("at", Float, nullable=False),
    Column("recorded_at", Float, nullable=False),
    # the same answer sent or imported twice is one answer
    UniqueConstraint("study_id", "finding", "source", "reader", "at"),
)

site_audits = Table(
    "site_audits",
    metadata,
    Column("audit_id", Integer, primary_key=True, autoincrement=True),
    Column("model_sha256", String(64), nullable=False, index=True),
    Column("made_at", Float, nullable=False),
    Column("document", JSON, nullable=False),  # audit.json, as fairness.audit.nouns writes it
)

alarms = Table(
    "alarms",
    metadata,
    Column("alarm_id", Integer, primary_key=True, autoincrement=True),
    Column("month", String(7), nullable=False),  # "2026-11"
    Column("model_sha256", String(64), nullable=False),
    Column("finding", String(64), nullable=False),
    Column("cohort", String(255), nullable=False),
    Column("figure", String(16), nullable=False),  # "psi", "sensitivity"
    Column("level", String(8), nullable=False),  # "warn", "alarm"
    Column("value", Float, nullable=False),
    Column("bound", Float, nullable=False),
    Column("raised_at", Float, nullable=False),
    UniqueConstraint("month", "model_sha256", "finding", "cohort", "figure"),
)

operating_policies = Table(
    "operating_policies",
    metadata,
    Column("policy_id", Integer, primary_key=True, autoincrement=True),
    Column("model_sha256", String(64), nullable=False, index=True),
    Column("document", JSON, nullable=False),  # thresholds by finding and cohort, with their effect
    Column("proposed_at", Float, nullable=False),
    Column("signed_by", String(128), nullable=False, default=""),
    Column("signed_at", Float, nullable=True),
    Column("reason", Text, nullable=False, default=""),
    Column("ended_at", Float, nullable=True),
)
