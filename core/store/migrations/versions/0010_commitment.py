"""When to ask again for a storage commitment, what a destination said of it last, and which studies were purged.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add a time to deliveries, a sentence to destinations and a table; what is not committed is asked for again."""
    op.add_column("deliveries", sa.Column("commitment_due_at", sa.Float(), nullable=True))
    op.add_column("destinations", sa.Column("commitment_error", sa.Text(), nullable=False, server_default=""))
    op.execute(
        "UPDATE deliveries SET commitment_due_at = 0.0 WHERE status = 'sent' AND commitment_transaction_uid IS NOT NULL"
    )
    op.create_table(
        "purged_studies",
        sa.Column("study_id", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("purged_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("study_id", name="pk_purged_studies"),
    )
