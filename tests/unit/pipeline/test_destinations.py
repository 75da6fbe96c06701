"""Destinations: each kind has its own settings, and files from before there were kinds still open."""

import pytest

from core.errors import ConfigurationError
from core.settings import load_settings
from core.settings.destinations import DESTINATION_KINDS, DicomDestination, FolderDestination
from pipeline.carriers import CARRIERS, DicomCarrier, FolderCarrier, carrier_for


def settings_of(folder, text):
    (folder / "candor.toml").write_text(text)
    return load_settings(folder)


def test_a_destination_without_a_kind_is_a_dicom_node(tmp_path):
    settings = settings_of(tmp_path, '[[destinations]]\nname = "pacs"\nae_title = "ORTHANC"\nport = 4242\n')
    assert settings.destinations == (DicomDestination(name="pacs", ae_title="ORTHANC", port=4242),)
    assert isinstance(carrier_for(settings.destinations[0], settings), DicomCarrier)


def test_a_folder_is_named_by_its_kind(tmp_path):
    settings = settings_of(tmp_path, '[[destinations]]\nname = "out"\nkind = "folder"\nfolder = "/srv/out"\n')
    (destination,) = settings.destinations
    assert isinstance(destination, FolderDestination)
    assert isinstance(carrier_for(destination, settings), FolderCarrier)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('name = "a"', r'destination "a": ae_title is missing'),
        ('name = "a"\nkind = "folder"', r'destination "a": folder is missing'),
        ('name = "a"\nkind = "fax"', r'destination "a": kind: "fax" is none of dicom, folder$'),
        (
            'name = "a"\nae_title = "A"\nfolder = "/srv"',
            r'destination "a": folder is a setting of destinations of kind folder',
        ),
        ('name = "a"\nkind = "folder"\nfolder = ""', r'destination "a": folder: must name a folder'),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, lines, words):
    with pytest.raises(ConfigurationError, match=words):
        settings_of(tmp_path, f"[[destinations]]\n{lines}\n")


def test_a_file_that_is_no_text_cannot_be_read(tmp_path):
    (tmp_path / "candor.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"candor\.toml is saved as UTF-16"):
        load_settings(tmp_path)


def test_every_kind_has_a_carrier():
    assert set(CARRIERS) == set(DESTINATION_KINDS)
