"""`candor init`: what it makes, and a candor.toml that cannot drift from the settings."""

import re
import stat
import tomllib

import pytest

from core.domain.report import ObjectKind
from core.errors import ConfigurationError
from core.settings import Settings, load_settings
from core.settings.destinations import DicomDestination, FolderDestination, TlsSettings
from core.store.keys import SiteKey
from core.store.store import open_store
from pipeline.data_folder import make_data_folder, settings_file

ASSIGNMENT = re.compile(r"#(\w+ = (?!  #).*)")


def uncommented(text):
    """The file with every commented default switched on."""
    return "\n".join(match[1] for line in text.splitlines() if (match := ASSIGNMENT.fullmatch(line)))


def split_tables(text):
    plain, tls = text.split("#[tls]")
    tls, dicom, folder = tls.split("#[[destinations]]")
    return plain, tls, dicom, folder


def test_it_makes_a_private_folder_a_key_next_to_it_and_a_database_that_opens(tmp_path):
    settings = make_data_folder(tmp_path / "data")
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    assert settings.site_key_file == tmp_path / "data.key"
    assert stat.S_IMODE(settings.site_key_file.stat().st_mode) == 0o600
    store = open_store(settings)
    assert sum(store.studies.counts().values()) == 0
    store.close()


def test_a_fresh_file_changes_nothing(tmp_path):
    settings = make_data_folder(tmp_path / "data")
    assert settings == Settings(data_dir=tmp_path / "data")


def test_every_setting_is_in_the_file_at_its_default():
    models = (Settings, TlsSettings, DicomDestination, FolderDestination)
    for text, model in zip(split_tables(settings_file({})), models, strict=True):
        names = set(re.findall(r"^#(\w+) = ", text, re.M))
        assert names == set(model.model_fields) - {"data_dir"} - (
            {"tls", "destinations"} if model is Settings else set()
        )
        for name, value in tomllib.loads(uncommented(text)).items():
            default = model.model_fields[name].default
            assert (tuple(value) if isinstance(value, list) else value) == default, name


@pytest.mark.parametrize("model", [Settings, TlsSettings, DicomDestination, FolderDestination])
def test_every_setting_says_what_it_is_for(model):
    assert [name for name, field in model.model_fields.items() if not field.description] == []
    descriptions = {f"# {field.description}" for name, field in model.model_fields.items() if name != "data_dir"}
    assert descriptions <= set(settings_file({}).splitlines())


def test_changes_are_set_and_read_back(tmp_path):
    destination = {"name": "pacs", "ae_title": "PACS", "port": 4242, "objects": ["sr"]}
    settings = make_data_folder(tmp_path / "data", {"port": 104, "ae_title": 'A"B', "destinations": [destination]})
    assert (settings.port, settings.ae_title) == (104, 'A"B')
    assert load_settings(tmp_path / "data").destination("pacs").objects == (ObjectKind.SR,)


def test_it_leaves_an_existing_installation_alone(tmp_path):
    make_data_folder(tmp_path / "data")
    key = (tmp_path / "data.key").read_bytes()
    with pytest.raises(ConfigurationError, match="already"):
        make_data_folder(tmp_path / "data")
    assert (tmp_path / "data.key").read_bytes() == key


def test_it_does_not_move_into_a_folder_that_is_in_use(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.doc").write_text("mine")
    with pytest.raises(ConfigurationError, match="not an empty folder"):
        make_data_folder(tmp_path / "data")


def test_it_takes_a_key_that_an_administrator_put_in_place(tmp_path):
    key = SiteKey.create(tmp_path / "data.key")
    make_data_folder(tmp_path / "data")
    assert SiteKey.load(tmp_path / "data.key") == key


def test_a_failed_start_can_be_tried_again(tmp_path):
    (tmp_path / "data.key").write_text("not a key")
    (tmp_path / "data.key").chmod(0o600)
    with pytest.raises(ConfigurationError, match="site key"):
        make_data_folder(tmp_path / "data")
    (tmp_path / "data.key").unlink()
    make_data_folder(tmp_path / "data")
