"""The tables of Candor's database. `core/store/audit.py` adds the audit trail to the same metadata.

Identity lives in `studies.patient` and in the UIDs, nowhere else; the whole database is encrypted at rest
(SQLCipher, or PostgreSQL on an encrypted volume). Times are seconds since the epoch, UTC. Nothing is updated that
history needs: a new revision is a new row.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    text,
)

from core.store.metadata import metadata

studies = Table(
    "studies",
    metadata,
    Column("study_id", String(32), primary_key=True),  # keyed hash: safe in logs, metrics and workflow inputs
    Column("study_instance_uid", String(64), nullable=False, unique=True),
    Column("patient", JSON, nullable=False),
    Column("accession_number", String(64), nullable=False, default=""),
    Column("study_date", String(10), nullable=True),
    Column("calling_ae_title", String(16), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("revision", Integer, nullable=False, default=0),  # the last one assembled
    Column("settled_revision", Integer, nullable=False, default=0),  # the last one whose reading ended
    Column("expected_instances", Integer, nullable=True),
    Column("reason", Text, nullable=False, default=""),
    Column("first_received_at", Float, nullable=False),
    Column("last_received_at", Float, nullable=False),
    Column("completed_at", Float, nullable=True),  # when the last revision was assembled
    Column("waiting_since_at", Float, nullable=True),  # first image that no revision holds yet
)

Index("ix_studies_waiting", studies.c.waiting_since_at)
# polled ten times a second: the index holds the few that are being read, whatever the table holds
_IN_PROGRESS = text("revision > settled_revision")
Index("ix_studies_in_progress", studies.c.completed_at, sqlite_where=_IN_PROGRESS, postgresql_where=_IN_PROGRESS)

instances = Table(
    "instances",
    metadata,
    Column("instance_id", Integer, primary_key=True, autoincrement=True),
    Column("study_id", ForeignKey("studies.study_id"), nullable=False, index=True),
    Column("sop_instance_uid", String(64), nullable=False, unique=True),
    Column("header", JSON, nullable=False),  # core.domain.study.Instance
    Column("role", String(16), nullable=False),  # InstanceRole
    Column("revision", Integer, nullable=True),  # the first revision that holds it; NULL: not assembled yet
    Column("association_id", String(36), nullable=False),
    Column("object_key", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("received_at", Float, nullable=False),
)

_NOT_ASSEMBLED = text("revision IS NULL")
Index(
    "ix_instances_not_assembled",
    instances.c.instance_id,
    sqlite_where=_NOT_ASSEMBLED,
    postgresql_where=_NOT_ASSEMBLED,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("quarantine_id", Integer, primary_key=True, autoincrement=True),
    Column("sop_instance_uid", String(64), nullable=False, index=True),
    Column("study_id", String(32), nullable=False),
    Column("object_key", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("received_at", Float, nullable=False),
)

associations = Table(
    "associations",
    metadata,
    Column("association_id", String(36), primary_key=True),
    Column("node", String(64), nullable=False),
    Column("calling_ae_title", String(16), nullable=False),
    Column("address", String(64), nullable=False),
    Column("opened_at", Float, nullable=False),
    Column("closed_at", Float, nullable=True, index=True),
    Column("current_study_id", String(32), nullable=True, index=True),
)

predictions = Table(
    "predictions",
    metadata,
    Column("sop_instance_uid", String(64), nullable=False),
    Column("model_sha256", String(64), nullable=False),
    Column("document", JSON, nullable=False),  # scores, probabilities, timings
    Column("maps", LargeBinary, nullable=True),  # float32, C order
    Column("maps_shape", JSON, nullable=True),
    Column(
        "runs", Integer, nullable=False, default=1
    ),  # how often the model really ran: 1, unless a crash came between
    Column("predicted_at", Float, nullable=False),
    PrimaryKeyConstraint("sop_instance_uid", "model_sha256"),
)

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

result_objects = Table(
    "result_objects",
    metadata,
    Column("sop_instance_uid", String(64), primary_key=True),
    Column("report_id", ForeignKey("reports.report_id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("sop_class_uid", String(64), nullable=False),
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
    Column("sop_instance_uid", ForeignKey("result_objects.sop_instance_uid"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("last_error", Text, nullable=False, default=""),
    Column("enqueued_at", Float, nullable=False),
    Column("sent_at", Float, nullable=True),
    Column("committed_at", Float, nullable=True),
    Column("commitment_transaction_uid", String(64), nullable=True, index=True),
)
Index("ix_deliveries_destination_status", deliveries.c.destination, deliveries.c.status, deliveries.c.delivery_id)
Index("ix_deliveries_once", deliveries.c.destination, deliveries.c.sop_instance_uid, unique=True)

destinations = Table(
    "destinations",
    metadata,
    Column("destination", String(32), primary_key=True),
    Column("failures", Integer, nullable=False, default=0),  # in a row
    Column("next_attempt_at", Float, nullable=False, default=0.0),
    Column("last_error", Text, nullable=False, default=""),
    Column("last_success_at", Float, nullable=True),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("expires_at", Float, nullable=False),
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
