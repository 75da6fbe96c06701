"""The tables of reports: the documents, the payloads they are carried in, and the outbox."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, String, Table, Text

from core.store.tables.metadata import metadata

reports = Table(
    "reports",
    metadata,
    Column("report_id", String(48), primary_key=True),  # study_id.revision
    Column("study_id", ForeignKey("studies.study_id"), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("document", JSON, nullable=False),  # one entry of results.json, without identity but the study's UID
    Column("sr_sop_instance_uid", String(64), nullable=False, default=""),
    Column("sr_series_instance_uid", String(64), nullable=False, default=""),
    Column("completed_at", Float, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("filed_at", Float, nullable=False),
)

Index("ix_reports_study_revision", reports.c.study_id, reports.c.revision, unique=True)

payloads = Table(
    "payloads",
    metadata,
    Column("payload_id", String(64), primary_key=True),  # of a DICOM object its SOP Instance UID
    Column("report_id", ForeignKey("reports.report_id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("payload_type", String(64), nullable=False),  # of a DICOM object its SOP Class UID
    Column("finding_name", String(64), nullable=False, default=""),
    Column("object_key", String(64), nullable=False),
    Column("position", Integer, nullable=False),  # order of sending
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Integer, primary_key=True, autoincrement=True),
    Column("destination", String(32), nullable=False),
    Column("study_id", String(32), nullable=False, index=True),
    Column("payload_id", ForeignKey("payloads.payload_id"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("last_error", Text, nullable=False, default=""),
    Column("enqueued_at", Float, nullable=False),
    Column("sent_at", Float, nullable=True),
    Column("committed_at", Float, nullable=True),
    Column("commitment_transaction_uid", String(64), nullable=True, index=True),
    Column("commitment_due_at", Float, nullable=True),  # when to ask again where nothing was answered
)

Index("ix_deliveries_destination_status", deliveries.c.destination, deliveries.c.status, deliveries.c.delivery_id)

Index("ix_deliveries_once", deliveries.c.destination, deliveries.c.payload_id, unique=True)

destinations = Table(
    "destinations",
    metadata,
    Column("destination", String(32), primary_key=True),
    Column("failures", Integer, nullable=False, default=0),  # in a row
    Column("next_attempt_at", Float, nullable=False, default=0.0),
    Column("last_error", Text, nullable=False, default=""),
    Column("last_success_at", Float, nullable=True),
    Column("commitment_error", Text, nullable=False, default="", server_default=""),
)
