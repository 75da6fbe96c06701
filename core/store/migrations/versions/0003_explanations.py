"""Faithfulness of maps, and jobs of asked-for explanations.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables of explanations."""
    op.create_table(
        "faithfulness",
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=False),
        sa.Column("finding", sa.String(length=64), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("measured_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("sop_instance_uid", "model_sha256", "finding", name=op.f("pk_faithfulness")),
    )
    op.create_table(
        "explanation_jobs",
        sa.Column("job_id", sa.String(length=32), nullable=False),
        sa.Column("study_id", sa.String(length=32), nullable=False),
        sa.Column("finding", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("destination", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("is_unwanted", sa.Boolean(), nullable=False),
        sa.Column("passes", sa.Integer(), nullable=False),
        sa.Column("passes_expected", sa.Integer(), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=True),
        sa.Column("seen_at", sa.Float(), nullable=True),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=True),
        sa.Column("picture_key", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["studies.study_id"], name=op.f("fk_explanation_jobs_study_id_studies")),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_explanation_jobs")),
    )
    op.create_index(op.f("ix_explanation_jobs_state"), "explanation_jobs", ["state"], unique=False)
    op.create_index(op.f("ix_explanation_jobs_study_id"), "explanation_jobs", ["study_id"], unique=False)
