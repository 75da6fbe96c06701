"""The databases: encrypted, durable, safe among processes, and good enough for DBOS."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError as ConstraintError
from sqlalchemy.exc import OperationalError

import core.store.tables.studies  # noqa: F401  # fills the metadata
from core.errors import ConfigurationError, IntegrityError, Unavailable
from core.store import engine as engine_module
from core.store.engine import migrate, open_engine, open_workflow_engine, read_only, rekey
from core.store.keys import SiteKey
from core.store.tables.metadata import metadata

KEY = SiteKey.generate()


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlcipher:///{tmp_path / 'candor.db'}"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_engine(url, KEY)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE notes (note_id INTEGER PRIMARY KEY, words TEXT UNIQUE)"))
    yield engine
    engine.dispose()


def count(engine: Engine) -> int:
    with read_only(engine).connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM notes")).scalar_one())


def test_commits_are_durable_and_references_enforced(engine: Engine) -> None:
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "temp_store": 2, "busy_timeout": 30_000}
    with engine.connect() as connection:
        assert {p: connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in expected} == expected


def test_nothing_on_disk_is_readable(engine: Engine, tmp_path: Path) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO notes (words) VALUES ('CANARY^JANE')"))
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert files["candor.db-wal"]
    for content in files.values():
        assert b"CANARY" not in content
        assert b"notes" not in content
    engine.dispose()
    with pytest.raises(sqlite3.DatabaseError):
        sqlite3.connect(tmp_path / "candor.db").execute("SELECT * FROM notes")


@pytest.mark.parametrize("opened", [open_engine, open_workflow_engine])
def test_a_wrong_key_is_one_sentence(
    engine: Engine, url: str, opened: Callable[[str, SiteKey], Engine], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(IntegrityError, match="does not open with this site key"):
        opened(url, SiteKey.generate()).connect()
    assert capfd.readouterr().err == ""


def test_a_plain_sqlite_file_is_not_taken_for_ours(tmp_path: Path) -> None:
    plain = sqlite3.connect(tmp_path / "plain.db")
    plain.execute("CREATE TABLE t (a)")
    plain.close()
    with pytest.raises(IntegrityError):
        open_engine(f"sqlcipher:///{tmp_path / 'plain.db'}", KEY).connect()


@pytest.mark.parametrize(
    "wrong", ["", "candor.db", "sqlite:///plain.db", "sqlcipher://", "mysql://h/d", "postgresql://h/d"]
)
def test_another_kind_of_url_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match="sqlcipher:///"):
        open_engine(wrong, KEY)


def test_a_folder_that_is_missing_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        open_engine(f"sqlcipher:///{tmp_path / 'missing' / 'candor.db'}", KEY).connect()


def test_a_failed_transaction_leaves_nothing(engine: Engine) -> None:
    twice = [{"words": "one"}, {"words": "one"}]
    with pytest.raises(ConstraintError), engine.begin() as connection:
        connection.execute(text("INSERT INTO notes (words) VALUES (:words)"), twice)
    assert count(engine) == 0


def test_an_error_does_not_print_the_row(engine: Engine) -> None:
    with pytest.raises(OperationalError) as caught, engine.begin() as connection:
        connection.execute(text("INSERT INTO nowhere (words) VALUES (:words)"), {"words": "CANARY^JANE"})
    assert "CANARY" not in str(caught.value)


def test_a_reader_cannot_write_and_does_not_disturb_the_next_writer(engine: Engine) -> None:
    with pytest.raises(OperationalError, match="readonly"), read_only(engine).begin() as connection:
        connection.execute(text("INSERT INTO notes (words) VALUES ('one')"))
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO notes (words) VALUES ('one')"))
    assert count(engine) == 1


def test_readers_do_not_wait_for_a_writer(engine: Engine) -> None:
    with engine.begin() as writer:
        writer.execute(text("INSERT INTO notes (words) VALUES ('one')"))
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(count, engine).result(timeout=5) == 0
    assert count(engine) == 1


def test_a_lock_held_too_long_is_unavailable(engine: Engine, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_SECONDS", 0.1)
    hasty = open_engine(url, KEY)
    with engine.begin(), pytest.raises(Unavailable, match="busy"), hasty.begin():
        pass


def test_read_then_write_in_many_threads_loses_no_update(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO notes VALUES (1, '0')"))
    start = threading.Barrier(4)

    def add() -> None:
        start.wait()
        for _ in range(25):
            with engine.begin() as connection:
                value = int(connection.execute(text("SELECT words FROM notes")).scalar_one())
                connection.execute(text("UPDATE notes SET words = :value"), {"value": str(value + 1)})

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(add) for _ in range(4)]:
            future.result()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT words FROM notes")).scalar_one() == "100"


def test_rekey_shuts_the_old_key_out(engine: Engine, url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO notes (words) VALUES ('kept')"))
    rotated = KEY.rotated()
    with pytest.raises(Unavailable, match="in use"):
        rekey(url, rotated)
    assert count(engine) == 1
    engine.dispose()
    later = open_engine(url, rotated)  # not yet encrypted again: the older secret opens it
    assert count(later) == 1
    later.dispose()
    rekey(url, rotated)
    assert count(open_engine(url, SiteKey(rotated.secrets[:1]))) == 1
    with pytest.raises(IntegrityError):
        open_engine(url, KEY).connect()


MIGRATE = """
import sys
from core.store.engine import migrate, open_engine
from core.store.keys import SiteKey
migrate(open_engine(sys.argv[1], SiteKey.from_text(sys.argv[2])))
"""


def test_processes_that_migrate_at_the_same_time_wait_for_each_other(url: str) -> None:
    command = [sys.executable, "-c", MIGRATE, url, KEY.to_text()]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    engine = open_engine(url, KEY)
    assert {"studies", "trail_events", "alembic_version"} <= set(inspect(engine).get_table_names())


def test_the_migrations_make_the_tables_that_the_code_expects(url: str) -> None:
    engine = open_engine(url, KEY)
    migrate(engine)
    migrate(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_migration_that_fails_changes_nothing(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = tmp_path / "migrations"
    (scripts / "versions").mkdir(parents=True)
    (scripts / "env.py").write_text((engine_module.MIGRATIONS / "env.py").read_text())
    (scripts / "versions" / "0001.py").write_text(
        "from alembic import op\nrevision, down_revision = '0001', None\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (a)')\n    op.execute('CREATE TABLE half (a)')\n"
    )
    monkeypatch.setattr(engine_module, "MIGRATIONS", scripts)
    engine = open_engine(url, KEY)
    with pytest.raises(OperationalError):
        migrate(engine)
    assert inspect(engine).get_table_names() == []


DBOS_PROGRAM = """
import sys
from dbos import DBOS
from core.store.engine import open_workflow_engine
from core.store.keys import SiteKey

engine = open_workflow_engine(sys.argv[1], SiteKey.from_text(sys.argv[2]))
DBOS(config={
    "name": "candor", "system_database_engine": engine, "run_admin_server": False,
    "executor_id": "test", "application_version": "1", "log_level": "WARNING",
})

@DBOS.step()
def double(number: int) -> int:
    return 2 * number

@DBOS.step()
def increment(number: int) -> int:
    return number + 1

@DBOS.workflow()
def story(number: int) -> int:
    return increment(double(number))

DBOS.launch()
handles = [DBOS.start_workflow(story, number) for number in range(30)]
assert [handle.get_result() for handle in handles] == [2 * n + 1 for n in range(30)]
steps = DBOS.list_workflow_steps(handles[0].workflow_id)
print([step["function_name"] for step in steps], len(DBOS.list_workflows()))
DBOS.destroy()
engine.dispose()
"""


def test_dbos_runs_on_an_encrypted_file(url: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DBOS_PROGRAM, url, KEY.to_text()],
        capture_output=True, text=True, check=False, timeout=120, cwd=Path(__file__).parents[4],
    )  # fmt: skip
    assert done.stdout.strip() == "['double', 'increment'] 30", done.stderr
    assert done.stderr == ""
    assert b"workflow_status" not in (tmp_path / "candor.db").read_bytes()
    assert not list(Path(__file__).parents[4].glob("custom_system_database_engine*"))
