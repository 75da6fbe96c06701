"""Corrected headers, and a quarantine that a person can work through.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Who each image names, what a corrected object replaced, and what became of a quarantined one."""
    with op.batch_alter_table("instances") as batch:
        batch.add_column(sa.Column("patient", sa.JSON(), nullable=True))
    op.create_table(
        "corrections",
        sa.Column("correction_id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("study_id", sa.String(length=32), sa.ForeignKey("studies.study_id"), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("object_key", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("header", sa.JSON(), nullable=False),
        sa.Column("patient", sa.JSON(), nullable=True),
        sa.Column("calling_ae_title", sa.String(length=16), nullable=False),
        sa.Column("identity", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=True),
        sa.Column("replaced_at", sa.Float(), nullable=False),
    )
    op.create_index("ix_corrections_study_id", "corrections", ["study_id"])
    op.create_index("ix_corrections_sop_instance_uid", "corrections", ["sop_instance_uid"])
    with op.batch_alter_table("quarantine") as batch:
        batch.add_column(sa.Column("kind", sa.String(length=16), nullable=False, server_default="other_bytes"))
        batch.add_column(sa.Column("calling_ae_title", sa.String(length=16), nullable=False, server_default=""))
        batch.add_column(sa.Column("state", sa.String(length=16), nullable=False, server_default="held"))
        batch.add_column(sa.Column("decided_at", sa.Float(), nullable=True))
