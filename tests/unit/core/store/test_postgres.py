"""PostgreSQL in place of the file: the same engine contract, migrations, trail and DBOS, on a real cluster."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import func, select, text
from sqlalchemy.exc import InternalError

import core.store.tables.studies  # noqa: F401  # fills the metadata
from core.clock import system_clock
from core.domain.trail import TrailEvent
from core.errors import ConfigurationError, Unavailable
from core.settings import Settings
from core.store.engine import migrate, open_engine, read_only
from core.store.fairness.site_audits import Alarm
from core.store.keys import SiteKey
from core.store.store import open_store
from core.store.tables.metadata import metadata
from core.store.tables.trail import trail_events
from core.store.trail import Trail
from tests.contract.encode.cases import MODEL
from tests.site_readings import fill_site
from tests.unit.core.store.test_engine import DBOS_PROGRAM, MIGRATE
from tests.unit.core.store.test_migrations import KEY as MIGRATION_KEY
from tests.unit.core.store.test_migrations import check_migration, check_names
from tests.unit.core.test_trail import KEY, record_from_processes

EVENT = TrailEvent(action="instance.received", actor="CT1", outcome="success")


def binaries() -> Path:
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    if not found:
        pytest.skip("PostgreSQL's server binaries are not installed")
    return Path(found).parent


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A throw-away cluster on a free loopback port; PostgreSQL refuses to run as root, so root lends it an account."""
    programs = binaries()
    account = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    as_account = ["runuser", "-u", account, "--"] if os.geteuid() == 0 else []
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="candor-postgres-"))
    shutil.chown(folder, account)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        command = [*as_account, str(programs / program), "-D", str(data), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, timeout=120)

    try:
        run("initdb", "-A", "trust", "-U", "candor", "-E", "UTF8", "--locale=C")
        rules = data / "pg_hba.conf"
        rules.write_text(f"host all locked all scram-sha-256\nhost all barred all reject\n{rules.read_text()}")
        run(
            "pg_ctl",
            "-w",
            "-o",
            f"-p {port} -k {folder} -c listen_addresses=127.0.0.1",
            "-l",
            str(folder / "log"),
            "start",
        )
        yield f"postgresql+psycopg://candor@127.0.0.1:{port}"
        run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    name = f"t{abs(hash(request.node.name))}"
    engine = open_engine(f"{server}/postgres", KEY)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{server}/{name}"


def test_processes_that_migrate_at_the_same_time_wait_for_each_other(url: str) -> None:
    command = [sys.executable, "-c", MIGRATE, url, KEY.to_text()]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    with open_engine(url, KEY).connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_database_of_the_first_version_opens(url: str) -> None:
    engine = open_engine(url, MIGRATION_KEY)
    check_migration(engine)
    check_names(engine)
    engine.dispose()


def test_several_processes_write_one_chain_on_the_server(url: str) -> None:
    engine = open_engine(url, KEY)
    migrate(engine)
    record_from_processes(url, ["CT1", "CT2", "CT3"])
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(trail_events)).scalar() == 120
    assert Trail(engine, KEY, now=system_clock).verify() == []


def test_the_first_event_of_all_may_come_from_several_threads(url: str) -> None:
    engine = open_engine(url, KEY)
    migrate(engine)
    trail, start = Trail(engine, KEY, now=system_clock), threading.Barrier(8)

    def record() -> None:
        start.wait()
        trail.record(EVENT)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(record) for _ in range(8)]:
            future.result()
    assert [link.seq for link in trail.events()] == list(range(1, 9))
    assert trail.verify() == []


def test_a_reader_cannot_write(url: str) -> None:
    engine = open_engine(url, KEY)
    migrate(engine)
    trail = Trail(engine, KEY, now=system_clock)
    with pytest.raises(InternalError, match="read-only"), read_only(engine).begin() as connection:
        trail.record_in(connection, EVENT)
    trail.record(EVENT)
    assert trail.verify() == []


def test_a_server_that_is_away_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound but not listening: a connection is refused
        url = f"postgresql+psycopg://candor@127.0.0.1:{taken.getsockname()[1]}/candor"
        with pytest.raises(Unavailable, match=r"PostgreSQL at 127\.0\.0\.1:\d+ does not answer \(connection refused\)"):
            open_engine(url, SiteKey.generate()).connect()


@pytest.fixture(scope="module")
def accounts(server: str) -> str:
    """Accounts that may not do all that Candor needs; the address of the server after them."""
    engine = open_engine(f"{server}/postgres", KEY)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("CREATE ROLE locked LOGIN PASSWORD 'right'"))
        for name in ("barred", "guest", "kept_out"):
            connection.execute(text(f"CREATE ROLE {name} LOGIN"))
        connection.execute(text("CREATE DATABASE of_others"))
        connection.execute(text("REVOKE CONNECT ON DATABASE of_others FROM PUBLIC"))
        connection.execute(text("CREATE DATABASE shared"))
    engine.dispose()
    shared = open_engine(f"{server}/shared", KEY)
    with shared.begin() as connection:
        connection.execute(text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))  # as it is since PostgreSQL 15
    shared.dispose()
    return server.rpartition("@")[2]


@pytest.mark.parametrize(
    ("account", "database", "words"),
    [
        ("candor", "nodb", 'has no database "nodb"; create it, or correct database_url'),
        ("locked:wrong", "postgres", "refuses the account or its password; check both in database_url"),
        ("locked", "postgres", "refuses the account or its password; check both in database_url"),
        ("absent", "postgres", "refuses the account or its password; check both in database_url"),
        ("barred", "postgres", "has no entry in pg_hba.conf for this account and address"),
        ("kept_out", "of_others", "does not let this account use the database or make tables there"),
        ("guest", "shared", "does not let this account use the database or make tables there"),
        ("candor", "postgres?sslmode=require", "do not agree on TLS; check sslmode in database_url"),
    ],
)
def test_what_is_wrong_with_an_account_or_a_database_is_one_sentence(
    accounts: str, tmp_path: Path, account: str, database: str, words: str
) -> None:
    settings = Settings(
        data_dir=tmp_path / "data", database_url=f"postgresql+psycopg://{account}@{accounts}/{database}"
    )
    settings.data_dir.mkdir()
    SiteKey.create(settings.site_key_file)
    with pytest.raises(ConfigurationError, match=r"^PostgreSQL at 127\.0\.0\.1:\d+ ") as said:
        open_store(settings)
    assert words in str(said.value)
    assert not {"wrong", "right"} & set(str(said.value).split())
    assert "\n" not in str(said.value)


def test_dbos_runs_on_the_engine(url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DBOS_PROGRAM, url, KEY.to_text()],
        capture_output=True, text=True, check=False, timeout=120, cwd=Path(__file__).parents[4],
    )  # fmt: skip
    assert done.stdout.strip() == "['double', 'increment'] 30", done.stderr


def test_readings_truth_audits_alarms_and_policies_are_kept(url: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    settings = Settings(data_dir=tmp_path / "data", database_url=url)
    SiteKey.create(settings.site_key_file)
    store = open_store(settings)
    fill_site(store, MODEL, now=1e9, size=60)
    first = store.readings.newest()[0]
    store.readings.record(first)
    assert len(store.readings.newest()) == 60
    answers = store.truths.all()
    assert store.truths.add(answers) == 0
    alarm = Alarm(
        month="2026-11", model_sha256="a", finding="f", cohort="c", figure="psi", level="warn", value=1, bound=0
    )
    assert [len(store.site_audits.raise_alarms([alarm])) for _ in range(2)] == [1, 0]
    assert store.site_audits.add(MODEL.sha256, {"rows": []}).audit_id == 1
    number = store.operating_policies.propose(MODEL.sha256, {"by": "view", "effects": []})
    assert store.operating_policies.sign_off(number, by="Dr. A", reason="x").state == "in force"
    assert store.operating_policies.in_force(MODEL.sha256, at=time.time() + 1) is not None
    store.close()
