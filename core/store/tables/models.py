"""The tables of models: what they said, which versions are registered, what shadow versions said."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Integer, LargeBinary, PrimaryKeyConstraint, String, Table

from core.store.tables.metadata import metadata

predictions = Table(
    "predictions",
    metadata,
    Column("input_key", String(64), nullable=False),  # core.domain.input.ModelInput
    Column("model_sha256", String(64), nullable=False),
    Column("document", JSON, nullable=False),  # scores, probabilities, timings
    Column("maps", LargeBinary, nullable=True),  # float32, C order
    Column("maps_shape", JSON, nullable=True),
    Column(
        "runs", Integer, nullable=False, default=1
    ),  # how often the model really ran: 1, unless a crash came between
    Column("predicted_at", Float, nullable=False),
    Column("study_id", String(32), nullable=False, index=True, server_default=""),  # "" of what older versions kept
    PrimaryKeyConstraint("input_key", "model_sha256"),
)

model_versions = Table(
    "model_versions",
    metadata,
    Column("name", String(64), nullable=False),
    Column("version", String(32), nullable=False),
    Column("record", JSON, nullable=False),  # core.domain.registration.Registration
    Column("signature", String(128), nullable=False),  # of the record, by the site key
    PrimaryKeyConstraint("name", "version"),
)

shadow_readings = Table(
    "shadow_readings",
    metadata,
    Column("report_id", ForeignKey("reports.report_id"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("version", String(32), nullable=False),
    Column("status", String(16), nullable=False),  # ReportStatus, as if it had been reported
    Column("document", JSON, nullable=False),  # reason, scores, probabilities, thresholds
    Column("read_at", Float, nullable=False),
    PrimaryKeyConstraint("report_id", "name", "version"),
)
