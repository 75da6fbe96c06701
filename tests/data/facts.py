"""What a data folder holds, read out of its database with SQL: without the classes of the store.

Needs the tables of the version that made the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import sqlcipher3  # type: ignore[import-untyped]

from core.domain.trail import TrailEvent
from core.store.keys import SiteKey
from core.trail import Head, SealedEvent, problems_of_chain
from tests.data.archive import DATA, KEY

_EVENT = ("action", "actor", "outcome", "subject", "source", "reason")


class Database:
    """One encrypted database file, for looking only."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(query, values))

    def value(self, query: str, *values: object) -> Any:
        ((value,),) = self.rows(query, *values)
        return value

    @property
    def tables(self) -> list[str]:
        names = self.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return sorted(name for (name,) in names)

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        return {name: self.value(f'SELECT count(*) FROM "{name}"') for name in self.tables}

    def problems(self) -> list[Any]:
        """What is broken in the file itself, and rows that refer to none."""
        found = self.rows("PRAGMA integrity_check") + self.rows("PRAGMA foreign_key_check")
        return [row for row in found if row != ("ok",)]


@contextmanager
def opened(folder: Path, name: str = "candor.db") -> Iterator[Database]:
    """The database file `name` of the data folder in `folder`, by the key next to it."""
    key = SiteKey.load(folder / KEY).database_keys[0]
    with closing(sqlcipher3.connect(str(folder / DATA / name))) as connection:
        connection.execute("PRAGMA cipher_log_level = NONE")
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        yield Database(connection)


def facts_of(folder: Path) -> dict[str, Any]:
    """Everything a later version is asked about this data folder."""
    with opened(folder) as database, opened(folder, "workflows.db") as workflows:
        return {
            "version": version("candor"),
            "schema": database.value("SELECT version_num FROM alembic_version"),
            "studies_by_state": dict(
                database.rows("SELECT state, count(*) FROM studies GROUP BY state ORDER BY state")
            ),
            "studies": dict(_studies(database)),
            "outbox": _outbox(database),
            "trail": _trail(database, SiteKey.load(folder / KEY)),
            "models": [list(row) for row in database.rows(_MODELS)],
            "policies": [list(row) for row in database.rows(_POLICIES)],
            "truths": [list(row) for row in database.rows(_TRUTHS)],
            "explanation_jobs": [list(row) for row in database.rows(_JOBS)],
            "shadow_readings": [list(row) for row in database.rows(_SHADOWS)],
            "instances_by_role": dict(
                database.rows("SELECT role, count(*) FROM instances GROUP BY role ORDER BY role")
            ),
            "runs_of_models": database.value("SELECT sum(runs) FROM predictions"),
            "stored_objects": sum(path.is_file() for path in (folder / DATA / "objects").glob("??/*")),
            "unfinished_workflows": [uid for (uid,) in workflows.rows(_UNFINISHED)],
            "rows": database.counts(),
        }


_MODELS = "SELECT name, version, json_extract(record, '$.state') FROM model_versions ORDER BY name, version"
_POLICIES = "SELECT policy_id, signed_by, ended_at IS NULL FROM operating_policies ORDER BY policy_id"
_TRUTHS = """
    SELECT accession_number, finding, value, source, ai_seen FROM truths
    JOIN studies ON studies.study_id = truths.study_id ORDER BY truth_id"""
_JOBS = """
    SELECT accession_number, finding, method, explanation_jobs.state FROM explanation_jobs
    JOIN studies ON studies.study_id = explanation_jobs.study_id ORDER BY asked_at"""
_SHADOWS = "SELECT name, version, status, count(*) FROM shadow_readings GROUP BY name, version, status"
_UNFINISHED = "SELECT workflow_uuid FROM workflow_status WHERE status = 'PENDING' ORDER BY workflow_uuid"
_STUDIES = """
    SELECT accession_number, study_id, study_instance_uid, state, reason, revision,
           (SELECT count(*) FROM instances WHERE instances.study_id = studies.study_id AND role = 'source')
    FROM studies ORDER BY first_received_at"""
_REPORTS = "SELECT report_id, revision, status, document FROM reports WHERE study_id = ? ORDER BY revision"
_OBJECTS = "SELECT kind FROM payloads WHERE report_id = ? ORDER BY kind"


def _studies(database: Database) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each study by its accession number, in the order of arrival."""
    for name, study_id, uid, state, reason, revision, images in database.rows(_STUDIES):
        known = {"study_id": study_id, "study_instance_uid": uid, "state": state, "reason": reason}
        reports = [_report(database, *row) for row in database.rows(_REPORTS, study_id)]
        yield name, {**known, "images": images, "revision": revision, "reports": reports}


def _report(database: Database, report_id: str, revision: int, status: str, document: str) -> dict[str, Any]:
    findings = {finding_key(one): one for one in json.loads(document)["findings"]}
    return {
        "revision": revision,
        "status": status,
        "findings": {key: [round(one["probability"], 6), one["positive"]] for key, one in findings.items()},
        "objects": [kind for (kind,) in database.rows(_OBJECTS, report_id)],
    }


def finding_key(finding: Mapping[str, Any]) -> str:
    """What a finding is called here: its name, with the number of its reading after the first one's."""
    reading = finding.get("reading", 0)  # before 0.2.0 a report had one reading
    return f"{finding['name']}, reading {reading}" if reading else str(finding["name"])


def _outbox(database: Database) -> dict[str, dict[str, int]]:
    """How many deliveries stand how, by destination."""
    found: dict[str, dict[str, int]] = {}
    query = "SELECT destination, status, count(*) FROM deliveries GROUP BY destination, status ORDER BY 1, 2"
    for destination, status, count in database.rows(query):
        found.setdefault(destination, {})[status] = count
    return found


def _trail(database: Database, key: SiteKey) -> dict[str, Any]:
    """How long the audit trail is, its last hash, and whether its chain holds."""
    query = f"SELECT seq, at, previous, hash, {', '.join(_EVENT)} FROM trail_events ORDER BY seq"
    links = [
        SealedEvent(
            seq=seq, at=at, previous=previous, hash=seal, event=TrailEvent(**dict(zip(_EVENT, said, strict=True)))
        )
        for seq, at, previous, seal, *said in database.rows(query)
    ]
    ((seq, last, seal),) = database.rows("SELECT seq, hash, seal FROM trail_head")
    problems = list(problems_of_chain(key.trail_key, links, Head(seq=seq, hash=last, seal=seal)))
    return {"events": len(links), "last_hash": last, "verifies": not problems}
