"""The tables of explanations: how faithful each map was, and the jobs of those who asked for a second method."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Integer, PrimaryKeyConstraint, String, Table, Text

from core.store.tables.metadata import metadata

faithfulness = Table(
    "faithfulness",
    metadata,
    Column("input_key", String(64), nullable=False),  # core.domain.input.ModelInput
    Column("device_uid", String(64), nullable=False),  # of the model version: its name, number and weights
    Column("finding", String(64), nullable=False),
    Column("document", JSON, nullable=False),  # core.domain.explanation.Faithfulness
    Column("measured_at", Float, nullable=False),
    PrimaryKeyConstraint("input_key", "device_uid", "finding"),
)

explanation_jobs = Table(
    "explanation_jobs",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("study_id", ForeignKey("studies.study_id"), nullable=False, index=True),
    Column("finding", String(64), nullable=False),
    Column("method", String(32), nullable=False),
    Column("destination", String(32), nullable=False),
    Column("state", String(16), nullable=False, index=True),  # core.domain.explanation_job.JobState
    Column("is_unwanted", Boolean, nullable=False),  # a cancellation that the process at work has not seen yet
    Column("passes", Integer, nullable=False),
    Column("passes_expected", Integer, nullable=False),
    Column("holder", String(64), nullable=False),
    Column("asked_at", Float, nullable=False),
    Column("started_at", Float, nullable=True),
    Column("seen_at", Float, nullable=True),  # last heartbeat of the process at work
    Column("ended_at", Float, nullable=True),
    Column("reason", Text, nullable=False),
    Column("document", JSON, nullable=True),
    Column("picture_key", String(64), nullable=False),
)
