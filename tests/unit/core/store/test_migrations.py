"""A database of an earlier version opens: the trail still verifies, and what waited in the outbox still waits."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, inspect, text

from core.clock import system_clock
from core.domain.delivery import DeliveryStatus
from core.domain.trail import TrailEvent
from core.store.engine import MIGRATIONS, migrate, open_engine
from core.store.keys import SiteKey
from core.store.studies.outbox import Outbox
from core.store.trail import Trail
from core.trail import GENESIS, SignedHead, seal_event, seal_head, sign_head

KEY = SiteKey.generate()
EVENTS = 3
SR = {"uid": "2.25.1", "class": "1.2.840.10008.5.1.4.1.1.88.33", "kind": "sr"}
SC = {"uid": "2.25.2", "class": "1.2.840.10008.5.1.4.1.1.7", "kind": "sc"}


def upgrade_to(engine: Engine, revision: str) -> None:
    """The tables as an earlier version of Candor made them."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        with connection.begin():
            command.upgrade(config, revision)


def insert(engine: Engine, table: str, **row: Any) -> None:
    names = ", ".join(row)
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES (:{', :'.join(row)})"), row)


def write_trail(engine: Engine) -> SignedHead:
    """Some events in the tables of version 0.1; returns the signed head, as it is kept elsewhere."""
    previous = GENESIS
    for seq in range(1, EVENTS + 1):
        event = TrailEvent(action="instance.received", actor="CT1", outcome="success", reason=f"event {seq}")
        link = seal_event(KEY.trail_key, seq, "2026-11-01T00:00:00", event, previous)
        insert(
            engine, "audit_events", seq=seq, at=link.at, **asdict(event), previous=link.previous, hash=link.hash
        )  # fmt: skip
        previous = link.hash
    head = seal_head(KEY.trail_key, EVENTS, previous)
    insert(engine, "audit_head", head_id=1, **asdict(head))
    return sign_head(KEY.trail_signing_seed, head)


def write_outbox(engine: Engine) -> None:
    """A report with an SR that was sent and a Secondary Capture that waits."""
    study = {"study_id": "s1", "study_instance_uid": "1.2.3", "patient": "{}", "accession_number": "", "reason": ""}
    times = {"first_received_at": 1.0, "last_received_at": 1.0}
    insert(
        engine, "studies", **study, **times, calling_ae_title="CT1", state="reported", revision=1, settled_revision=1
    )  # fmt: skip
    report = {"report_id": "s1.1", "study_id": "s1", "revision": 1, "status": "reported", "document": "{}"}
    uids = {"sr_sop_instance_uid": SR["uid"], "sr_series_instance_uid": "2.25.9"}
    insert(engine, "reports", **report, **uids, completed_at=1.0, created_at=2.0, filed_at=3.0)
    for position, (item, status) in enumerate([(SR, "sent"), (SC, "pending")]):
        names = {"sop_instance_uid": item["uid"], "sop_class_uid": item["class"], "kind": item["kind"]}
        insert(
            engine, "result_objects", **names, report_id="s1.1", finding_name="", object_key="k", position=position
        )  # fmt: skip
        row = {"destination": "PACS", "study_id": "s1", "sop_instance_uid": item["uid"], "status": status}
        insert(engine, "deliveries", **row, attempts=0, last_error="", enqueued_at=3.0)


def check_migration(engine: Engine) -> None:
    """Write a database of version 0.1, migrate it and look at it through the code of today."""
    upgrade_to(engine, "0005")
    write_outbox(engine)
    kept_elsewhere = write_trail(engine)
    migrate(engine)

    trail = Trail(engine, KEY, now=system_clock)
    assert trail.verify([kept_elsewhere]) == []
    trail.record(TrailEvent(action="instance.received", actor="CT1", outcome="success"))
    assert [link.seq for link in trail.events()] == list(range(1, EVENTS + 2))
    assert trail.verify([kept_elsewhere]) == []

    outbox = Outbox(engine, trail, now=system_clock)
    (waiting,) = outbox.pending("PACS")
    assert (waiting.payload_id, waiting.payload_type, waiting.kind) == (SC["uid"], SC["class"], SC["kind"])
    outbox.mark_sent([waiting], commitment_transaction_uid="2.25.7")
    assert outbox.mark_committed("2.25.7", [SC["uid"]]) == 1
    (state,) = outbox.states(["PACS"])
    assert (state.pending, state.sent, state.committed) == (0, 1, 1)
    assert waiting.status is DeliveryStatus.PENDING


def check_names(engine: Engine) -> None:
    """No table, index or foreign key has a name from before."""
    found = inspect(engine)
    assert not {"audit_events", "audit_head", "result_objects"} & set(found.get_table_names())
    for table in ("trail_events", "trail_head", "payloads", "deliveries"):
        names = [index["name"] for index in found.get_indexes(table)] + [
            key["name"] for key in found.get_foreign_keys(table)
        ]
        assert [name for name in names if "audit" in str(name) or "result" in str(name) or "sop" in str(name)] == []
    (key,) = [k for k in found.get_foreign_keys("deliveries") if k["referred_table"] == "payloads"]
    assert (key["name"], key["constrained_columns"]) == ("fk_deliveries_payload_id", ["payload_id"])


def test_a_file_of_the_first_version_opens(tmp_path: Path) -> None:
    engine = open_engine(f"sqlcipher:///{tmp_path / 'candor.db'}", KEY)
    check_migration(engine)
    check_names(engine)
    engine.dispose()
