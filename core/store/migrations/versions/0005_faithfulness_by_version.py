"""Faithfulness by model version instead of by weights: it is of probabilities, which two versions may calibrate apart.

Which version measured the figures that are there is not known, so they go and are measured again when needed. The
reports keep the figures that they were filed with.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Replace the table of faithfulness."""
    op.drop_table("faithfulness")
    op.create_table(
        "faithfulness",
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("device_uid", sa.String(length=64), nullable=False),
        sa.Column("finding", sa.String(length=64), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("measured_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("sop_instance_uid", "device_uid", "finding", name=op.f("pk_faithfulness")),
    )
