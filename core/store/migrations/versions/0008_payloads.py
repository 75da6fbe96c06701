"""Payloads instead of DICOM objects in the outbox: FHIR, HL7 and DICOMweb use it too.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Rename `result_objects` to `payloads`, and the SOP UIDs in it and in `deliveries` to id and type of a payload."""
    op.drop_index("ix_result_objects_report_id", "result_objects")
    op.drop_index("ix_deliveries_once", "deliveries")
    with op.batch_alter_table("deliveries") as batch:
        batch.drop_constraint("fk_deliveries_sop_instance_uid", type_="foreignkey")
        batch.alter_column("sop_instance_uid", new_column_name="payload_id", existing_type=sa.String(length=64))
    with op.batch_alter_table("result_objects") as batch:
        batch.drop_constraint("fk_result_objects_report_id", type_="foreignkey")
        batch.alter_column("sop_instance_uid", new_column_name="payload_id", existing_type=sa.String(length=64))
        batch.alter_column("sop_class_uid", new_column_name="payload_type", existing_type=sa.String(length=64))
        batch.create_foreign_key("fk_payloads_report_id", "reports", ["report_id"], ["report_id"])
    op.rename_table("result_objects", "payloads")
    with op.batch_alter_table("deliveries") as batch:
        batch.create_foreign_key("fk_deliveries_payload_id", "payloads", ["payload_id"], ["payload_id"])
    op.create_index("ix_payloads_report_id", "payloads", ["report_id"])
    op.create_index("ix_deliveries_once", "deliveries", ["destination", "payload_id"], unique=True)
    if op.get_bind().dialect.name == "postgresql":  # SQLite keeps the old name of the key, which nothing refers to
        op.execute("ALTER TABLE payloads RENAME CONSTRAINT pk_result_objects TO pk_payloads")
