"""Which study a prediction is of, so that a purge forgets it too, whatever its input was made of.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the study to predictions; "" for those that are there."""
    op.add_column("predictions", sa.Column("study_id", sa.String(length=32), nullable=False, server_default=""))
    op.create_index("ix_predictions_study_id", "predictions", ["study_id"])
