"""Inputs of models instead of images, and a reading for each model.

What models said is remembered by the key of their input; until now every input was one image, so its key follows from
the SOP Instance UID. A study may have a reading of each model version, whose `flags` are called `above`.

Revision ID: 0007
Revises: 0006
"""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Rename the columns, compute the keys, and let a study have several readings."""
    for table in ("predictions", "faithfulness"):
        op.execute(f"ALTER TABLE {table} RENAME COLUMN sop_instance_uid TO input_key")
        _compute_keys(table)
    op.execute("ALTER TABLE readings RENAME COLUMN flags TO above")
    with op.batch_alter_table("readings") as batch:
        batch.drop_constraint("pk_readings", type_="primary")
        batch.create_primary_key("pk_readings", ["report_id", "model_name", "model_version"])


def _compute_keys(name: str) -> None:
    table = sa.table(name, sa.column("input_key"))
    connection = op.get_bind()
    for uid in connection.scalars(sa.select(table.c.input_key).distinct()).all():
        connection.execute(sa.update(table).where(table.c.input_key == uid).values(input_key=_key_of_image(uid)))


def _key_of_image(sop_instance_uid: str) -> str:
    """As core.domain.input made it when this was written: the code may change, what is in a database does not."""
    text = json.dumps(["square", [sop_instance_uid], []], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
