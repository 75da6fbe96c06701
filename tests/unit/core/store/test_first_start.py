"""A database that was lost is not a first start: nothing is accepted, and the sentence says what to do."""

import pytest

from core.clock import SettableClock
from core.errors import IntegrityError
from core.store.keys import SiteKey
from core.store.store import open_store
from pipeline.data_folder import make_data_folder
from tests.store_fixtures import arrival, make_store, store_settings


@pytest.fixture
def settings(tmp_path):
    store = make_store(tmp_path, SettableClock(1_000.0))
    store.intake.keep(arrival("1", "1"))
    store.close()
    return store_settings(tmp_path, minimum_free_bytes=0)


def database_files(settings):
    return sorted(settings.data_dir.glob("candor.db*"))


def test_an_empty_file_with_objects_kept(settings):
    for file in database_files(settings):
        file.unlink()
    (settings.data_dir / "candor.db").touch()
    with pytest.raises(IntegrityError, match=r"empty .* no first start.*restore"):
        open_store(settings)
    assert [file.stat().st_size for file in database_files(settings)] == [0], "it is left as it was"


def test_an_empty_file_with_a_key_alone(tmp_path):
    settings = store_settings(tmp_path, minimum_free_bytes=0)
    settings.data_dir.mkdir()
    SiteKey.create(settings.site_key_file)
    (settings.data_dir / "candor.db").touch()
    with pytest.raises(IntegrityError, match="no first start"):
        open_store(settings)


def test_no_file_with_objects_kept(settings):
    for file in database_files(settings):
        file.unlink()
    for _ in range(2):  # the attempt to open leaves nothing behind that the next one takes for a database
        with pytest.raises(IntegrityError, match="no first start"):
            open_store(settings)


def test_a_database_without_tables_with_objects_kept(settings, tmp_path):
    other = store_settings(tmp_path, minimum_free_bytes=0)
    for file in database_files(settings):
        file.unlink()
    from core.store.engine import open_engine

    engine = open_engine(other.store_url, SiteKey.load(other.site_key_file))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE somebody_elses (a INTEGER)")
    engine.dispose()
    with pytest.raises(IntegrityError, match="no first start"):
        open_store(settings)


def test_first_starts_are_first_starts(tmp_path):
    made = make_data_folder(tmp_path / "by init")
    open_store(made).close()
    (tmp_path / "by hand").mkdir()
    by_hand = store_settings(tmp_path / "by hand", minimum_free_bytes=0)
    by_hand.data_dir.mkdir()
    SiteKey.create(by_hand.site_key_file)  # restored from a safe, or mounted as a secret
    for _ in range(2):
        open_store(by_hand).close()


def test_what_was_kept_opens_as_before(settings):
    store = open_store(settings)
    assert len(store.studies.rows()) == 1
    store.close()
