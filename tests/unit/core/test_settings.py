"""candor.toml: whatever is wrong in it is said in a sentence, with its line, its cause and what was meant."""

import os
import subprocess
import sys
import time

import pytest

from core.errors import ConfigurationError
from core.settings import load_settings
from core.settings.environment import faults_of_environment

PACS = '[[destinations]]\nname = "pacs"\nae_title = "PACS"\n'


def read(folder, content):
    (folder / "candor.toml").write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_settings(folder)


def faults(folder, content):
    """The sentences, without the folder in front."""
    with pytest.raises(ConfigurationError) as caught:
        read(folder, content)
    return [line.removeprefix(f"{folder}/") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("content", "line", "expected"),
    [
        ("prot = 104", 1, 'there is no setting "prot"; did you mean "port"?'),
        ('#\n\naeTitle = "A"', 3, 'there is no setting "aeTitle"; did you mean "ae_title"?'),
        ("wombat = 1", 1, 'there is no setting "wombat"'),
        (
            f'{PACS}\n\nallowed_addresses = ["10.0.0.1"]',
            6,
            "allowed_addresses belongs to [[destinations]] here, because it comes after that line; "
            "move it up: settings of the whole installation go above the first [table]",
        ),
        (
            '[tls]\ncertificate_file = "a"\nkey_file = "b"\nae_title = "X"',
            4,
            "ae_title belongs to [tls] here, because it comes after that line; move it up: settings "
            "of the whole installation go above the first [table]",
        ),
        ('[[destinations]]\nname = "pacs"', 1, 'destination "pacs": ae_title is missing'),
        (
            f'{PACS}\n[[destinations]]\nae_title = "B"\nname = "pacs"',
            7,
            'destination "pacs": name: destination 1 is called "pacs" too; give each a name of its own',
        ),
        (f'{PACS}[destinations.tls]\nkey_file = "k"', 4, 'destination "pacs": tls.certificate_file is missing'),
        ('[destination]\nname = "x"', 1, 'there is no table "destination"; did you mean [[destinations]]?'),
        (
            '[destinations]\nname = "x"',
            1,
            "destinations: write [[destinations]], with two brackets, above the settings of each destination",
        ),
        ("[[tls]]\nport = 1", 1, "tls: write [tls], with one bracket, above its settings"),
        (
            "storage_commitment = true",
            1,
            "storage_commitment is a setting of a destination; move it below the line [[destinations]]",
        ),
        (
            '[[destinations]]\nname = "out"\nkind = "folder"\nfolder = "/srv"\nhost = "x"',
            5,
            'destination "out": host is a setting of destinations of kind dicom',
        ),
        ('log_level = "warn"', 1, 'log_level: "warn" is none of debug, info, warning, error; did you mean "warning"?'),
        ("port = true", 1, "port: must be a number, not true or false"),
        ("maximum_associations = false", 1, "maximum_associations: must be a number, not true or false"),
        ("blind_read_rate = true", 1, "blind_read_rate: must be a number, not true or false"),
        ("quiet_seconds = inf", 1, "quiet_seconds: must be a finite number"),
        ("maximum_wait_seconds = nan", 1, "maximum_wait_seconds: must be a finite number"),
        ("delivery_backoff_seconds = 1e300", 1, "delivery_backoff_seconds: must be at most 86400"),
        ("port = 65536", 1, "port: must be at most 65535"),
        ("port = 1.5", 1, "port: must be a whole number"),
        ("minimum_free_bytes = -1", 1, "minimum_free_bytes: must be at least 0"),
        ("plain_listener = 1", 1, "plain_listener: must be true or false"),
        ('log_json = "yes"', 1, "log_json: must be true or false"),
        (
            r"ae_title = 'A\B'",
            1,
            "ae_title: an AE title has letters, digits and signs of ASCII, but no backslash and no control character",
        ),
        ('ae_title = "   "', 1, "ae_title: must not be empty"),
        ('ae_title = "ABCDEFGHIJKLMNOPQ"', 1, "ae_title: must have at most 16 characters"),
        (
            'allowed_calling_ae_titles = ["CR1", "A\\u0009B"]',
            1,
            "allowed_calling_ae_titles, entry 2: an AE title has letters, digits and signs of ASCII, "
            "but no backslash and no control character",
        ),
        (
            'allowed_addresses = ["10.0.0.0/8", "nonsense"]',
            1,
            "allowed_addresses, entry 2: must be an address or a network in numbers, such as "
            '"10.1.0.20" or "10.1.0.0/16"; names are not resolved',
        ),
        (
            'allowed_addresses = "10.0.0.0/8"',
            1,
            'allowed_addresses: must be a list, such as ["one", "two"]',
        ),
        (
            'host = "http://pacs/"',
            1,
            'host: must be an address or a name alone, such as "10.1.0.20"; the port is a setting of its own',
        ),
        (
            'trusted_model_keys = [\n  "abc",\n]',
            1,
            "trusted_model_keys, entry 1: must be a public key as `candor models keygen` prints it: base64 of 32 bytes",
        ),
        ('data_dir = "/elsewhere"', 1, "the data folder is given with --data or CANDOR_DATA, not here"),
        ('"a\\u001b[31m" = 1', 1, 'there is no setting "a\\u001b[31m"'),
    ],
)
def test_a_wrong_setting_is_said_with_its_line_and_what_was_meant(tmp_path, content, line, expected):
    assert faults(tmp_path, content) == [f"candor.toml, line {line}: {expected}"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("port = " + "[" * 5000 + "]" * 5000, "line 1: lists or tables are nested too deep"),
        ("\nx = " + "{a=" * 5000 + "1" + "}" * 5000, "line 2: lists or tables are nested too deep"),
        ("port = 1\n" + ".".join(["a"] * 5000) + " = 1", "line 2: lists or tables are nested too deep"),
        ("[" + ".".join(["a"] * 5000) + "]", "line 1: lists or tables are nested too deep"),
        ("allowed_addresses = " + "[" * 100 + "]" * 100, "line 1: lists or tables are nested too deep"),
        ("port = 1\n".encode("utf-16"), "candor.toml is saved as UTF-16; save it as UTF-8"),
        ("port = 1\n".encode("utf-16-be"), "candor.toml is saved as UTF-16; save it as UTF-8"),
        ('#\nae_title = "RÖ"'.encode("latin-1"), "line 2: there is a character that is not in UTF-8"),
        (r'ae_title = "A\B"', "line 1: a backslash in double quotes has a meaning of its own"),
        ("host = localhost", "line 1: this value is not TOML: text goes in quotes"),
        ("plain_listener = True", "true and false in small letters"),
        ('port = 1\n\nhost = "abc\nweb_port = 1', "line 3: a text in one line has no line break"),
        ("objects = [\n1,\n", "the file ends in the middle of a setting"),
        ("port = 1\nport = 2", "line 2: this setting is in the file twice"),
        ("port 104", "line 1: a setting is written: name = value"),
        ("x" * 300_000, "has more than 256 KiB"),
    ],
    ids=range(16),
)
def test_what_is_no_settings_file_is_one_sentence_too(tmp_path, content, expected):
    [said] = faults(tmp_path, content)
    assert expected in said


def test_a_word_that_is_none_of_a_few_is_repeated_with_all_of_them(tmp_path):
    [said] = faults(tmp_path, f'{PACS}objects = ["sr", "sc", "ps"]')
    assert said.startswith('candor.toml, line 4: destination "pacs": objects: "ps" is none of sr, sc, gsps, seg, ')
    assert said.endswith('; did you mean "gsps"?')


def test_everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file(tmp_path):
    said = faults(tmp_path, 'quiet_seconds = inf\nport = true\nprot = 1\n[[destinations]]\nname = "a"\nkind = "fax"\n')
    assert [line.split(":")[0] for line in said] == [f"candor.toml, line {number}" for number in (1, 2, 3, 4)]
    assert said[3].endswith('destination "a": kind: "fax" is none of dicom, folder')


def test_a_file_with_thousands_of_faults_is_answered_within_seconds(tmp_path):
    begun = time.monotonic()
    said = faults(tmp_path, "\n".join(f"a{number} = 1" for number in range(15_000)))
    assert time.monotonic() - begun < 10
    assert len(said) == 21
    assert said[-1] == "and 14980 more faults"


def test_no_value_that_may_be_a_secret_is_repeated(tmp_path):
    said = faults(tmp_path, 'database_url = 5\nkey_file = ["hunter2"]\nhost = "user:hunter2@pacs"')
    assert len(said) == 3
    assert "hunter2" not in " ".join(said)


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    assert read(tmp_path, b"\xef\xbb\xbfport = 7\r\nweb_port = 8\r\n").port == 7
    assert faults(tmp_path, "port = 1\r\nprot = 2\r\n")[0].startswith("candor.toml, line 2:")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CANDOR_PORT", "80a", "the environment variable CANDOR_PORT: port: must be a whole number"),
        ("CANDOR_LOG_JSON", "yes", "the environment variable CANDOR_LOG_JSON: log_json: must be true or false"),
        (
            "CANDOR_DESTINATIONS",
            "pacs",
            "the environment variable CANDOR_DESTINATIONS must be a list or a table in JSON",
        ),
        ("CANDOR_TLS", "[" * 5000, "the environment variable CANDOR_TLS must be a list or a table in JSON"),
        (
            "CANDOR_DESTINATIONS",
            '[{"name": "pacs"}]',
            'the environment variable CANDOR_DESTINATIONS: destination "pacs": ae_title is missing',
        ),
        (
            "CANDOR_PROT",
            "1",
            'the environment sets CANDOR_PROT, which Candor does not know; did you mean "CANDOR_PORT"?',
        ),
    ],
)
def test_the_environment_is_checked_by_variable(tmp_path, monkeypatch, name, value, expected):
    monkeypatch.setenv(name, value)
    assert faults(tmp_path, "") == [expected]


@pytest.mark.parametrize(("text", "value"), [("true", True), ("1", True), ("False", False), ("0", False)])
def test_the_environment_says_true_and_false_in_text(tmp_path, monkeypatch, text, value):
    monkeypatch.setenv("CANDOR_LOG_JSON", text)
    assert read(tmp_path, "").log_json is value


def test_only_known_variables_pass(monkeypatch):
    monkeypatch.setenv("CANDOR_DATA", "x")
    assert faults_of_environment(["data_dir", "port"], []) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs another account")
def test_a_file_of_another_account_names_that_account(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    (folder / "candor.toml").write_text("")
    for path in [tmp_path, *tmp_path.parents][:-2]:
        path.chmod(path.stat().st_mode | 0o011)
    source = (
        "import os, sys; from pathlib import Path; from core.settings import load_settings; os.setuid(65534)\n"
        f"try: load_settings(Path({str(folder)!r}))\nexcept Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("ConfigurationError "), done.stderr
    assert "cannot be read (permission denied): " in done.stdout
    assert "belongs to root; run as that account: sudo -u root candor ..." in done.stdout
