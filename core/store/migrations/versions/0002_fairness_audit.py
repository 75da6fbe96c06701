"""Readings, ground truth, audits of the site, alarms, operating policies.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables of the fairness audit."""
    _readings()
    _truths()
    _site_audits()
    _alarms()
    _operating_policies()


def _readings() -> None:
    op.create_table(
        "readings",
        sa.Column("report_id", sa.String(length=48), nullable=False),
        sa.Column("study_id", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("patient", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("model_name", sa.String(length=64), nullable=False),
        sa.Column("model_version", sa.String(length=32), nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("probabilities", sa.JSON(), nullable=False),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("turnaround_seconds", sa.Float(), nullable=True),
        sa.Column("read_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_readings")),
    )
    op.create_index(op.f("ix_readings_study_id"), "readings", ["study_id"], unique=False)
    op.create_index("ix_readings_model", "readings", ["model_sha256", "read_at"], unique=False)


def _truths() -> None:
    op.create_table(
        "truths",
        sa.Column("truth_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("study_id", sa.String(length=32), nullable=False),
        sa.Column("finding", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("reader", sa.String(length=32), nullable=False),
        sa.Column("ai_seen", sa.Boolean(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("recorded_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("truth_id", name=op.f("pk_truths")),
        sa.UniqueConstraint(
            "study_id", "finding", "source", "reader", "at", name=op.f("uq_truths_study_id_finding_source_reader_at")
        ),
    )
    op.create_index(op.f("ix_truths_study_id"), "truths", ["study_id"], unique=False)


def _site_audits() -> None:
    op.create_table(
        "site_audits",
        sa.Column("audit_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=False),
        sa.Column("made_at", sa.Float(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_site_audits")),
    )
    op.create_index(op.f("ix_site_audits_model_sha256"), "site_audits", ["model_sha256"], unique=False)


def _alarms() -> None:
    op.create_table(
        "alarms",
        sa.Column("alarm_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=False),
        sa.Column("finding", sa.String(length=64), nullable=False),
        sa.Column("cohort", sa.String(length=255), nullable=False),
        sa.Column("figure", sa.String(length=16), nullable=False),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("bound", sa.Float(), nullable=False),
        sa.Column("raised_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("alarm_id", name=op.f("pk_alarms")),
        sa.UniqueConstraint(
            "month",
            "model_sha256",
            "finding",
            "cohort",
            "figure",
            name=op.f("uq_alarms_month_model_sha256_finding_cohort_figure"),
        ),
    )


def _operating_policies() -> None:
    op.create_table(
        "operating_policies",
        sa.Column("policy_id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("proposed_at", sa.Float(), nullable=False),
        sa.Column("signed_by", sa.String(length=128), nullable=False),
        sa.Column("signed_at", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("policy_id", name=op.f("pk_operating_policies")),
    )
    op.create_index(op.f("ix_operating_policies_model_sha256"), "operating_policies", ["model_sha256"], unique=False)
