"""The tables of studies: what arrived, and over which association.

Identity lives in `studies.patient` and in the UIDs, nowhere else; the whole database is encrypted at rest
(SQLCipher, or PostgreSQL on an encrypted volume). Times are seconds since the epoch, UTC. Nothing is updated that
history needs: a new revision is a new row.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, String, Table, Text, text

from core.store.tables.metadata import metadata

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
    Column("patient", JSON, nullable=True),  # whom its header names; NULL: kept by a version before 0.2
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
    Column("kind", String(16), nullable=False, server_default="other_bytes"),  # QuarantineKind
    Column("calling_ae_title", String(16), nullable=False, server_default=""),
    Column("state", String(16), nullable=False, server_default="held"),  # QuarantineState
    Column("decided_at", Float, nullable=True),
)

corrections = Table(  # what an image was before it came again with another header: the row in `instances` is the newest
    "corrections",
    metadata,
    Column("correction_id", Integer, primary_key=True, autoincrement=True),
    Column("study_id", ForeignKey("studies.study_id"), nullable=False, index=True),
    Column("sop_instance_uid", String(64), nullable=False, index=True),
    Column("object_key", String(64), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("header", JSON, nullable=False),
    Column("patient", JSON, nullable=True),
    Column("calling_ae_title", String(16), nullable=False),  # of the sender of the correction
    Column("identity", Boolean, nullable=False),  # whether the patient changed
    Column("revision", Integer, nullable=True),  # the first that holds the correction; NULL: not assembled; 0: for none
    Column("replaced_at", Float, nullable=False),
)

purged_studies = Table(
    "purged_studies",
    metadata,
    Column("study_id", String(32), primary_key=True),
    Column("revision", Integer, nullable=False),  # the last one: a study that comes again goes on from there
    Column("purged_at", Float, nullable=False),
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
