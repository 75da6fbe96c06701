"""When to ask again for a storage commitment that was not answered, and what a destination said last.

Revision ID: 0010
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"


def upgrade() -> None:
    """Add a time to deliveries and a sentence to destinations; what is sent and not committed is asked for again."""
    op.add_column("deliveries", sa.Column("commitment_due_at", sa.Float(), nullable=True))
    op.add_column("destinations", sa.Column("commitment_error", sa.Text(), nullable=False, server_default=""))
    op.execute(
        "UPDATE deliveries SET commitment_due_at = 0.0 WHERE status = 'sent' AND commitment_transaction_uid IS NOT NULL"
    )
