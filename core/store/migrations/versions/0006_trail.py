"""The trail under its own name: "audit" is for fairness only.

The tables are renamed, their rows are not touched, so that the chain and its seals hold.

Revision ID: 0006
Revises: 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Rename the tables of the trail, with their indexes and keys."""
    op.drop_index("ix_audit_events_at", "audit_events")
    op.drop_index("ix_audit_events_subject", "audit_events")
    for before, after in (("audit_events", "trail_events"), ("audit_head", "trail_head")):
        op.rename_table(before, after)
        if op.get_bind().dialect.name == "postgresql":  # SQLite has no name for the key of a rowid
            op.execute(f"ALTER TABLE {after} RENAME CONSTRAINT pk_{before} TO pk_{after}")
    op.create_index("ix_trail_events_at", "trail_events", ["at"])
    op.create_index("ix_trail_events_subject", "trail_events", ["subject"])
