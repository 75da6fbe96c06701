"""What a person reads before and at the start: `candor config check`, warnings, addresses, the ready line."""

import io
import json
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from api.processes import ready
from api.processes.addresses import own_addresses, why_no_listener, why_not_ours
from api.processes.node import _listen
from api.processes.ready import announce_readiness, ready_line, warn
from api.processes.settings_check import check
from api.processes.warnings import warnings_of
from core.errors import ConfigurationError
from core.settings import Settings
from dicom_node.intake import MemoryIntake
from dicom_node.receive import Node, NodeSettings
from pipeline.data_folder import make_data_folder, next_steps
from pipeline.watch.warnings import NO_DESTINATION
from tests.contract.dicom_peers import make_certificates
from tests.contract.test_reasons import certificate
from tests.ports import free_port

PACS = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1"}


def made(folder, **changes):
    return make_data_folder(folder / "data", {"minimum_free_bytes": 0, "destinations": [PACS], **changes})


@pytest.fixture
def settings(tmp_path):
    return made(tmp_path)


def test_settings_of_a_private_data_folder_with_a_destination_are_right(settings):
    assert check(settings) == (
        f"{settings.data_dir}/candor.toml is right: 2 settings differ from the default; destinations: pacs"
    )
    assert warnings_of(settings) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"host": "192.0.2.250"}, "host: 192.0.2.250 is no address of this machine; set host to 0.0.0.0 or to one of "),
        ({"host": "no-such-host.invalid"}, "host: the name no-such-host.invalid cannot be resolved; set host to "),
        ({"web_host": "0.0.0.0"}, "web_host: other machines can reach 0.0.0.0, and there are no accounts yet"),
        ({"database_url": "mysql://h/d"}, "a database URL begins with sqlcipher:/// and a path"),
        (
            {"database_url": "postgresql+psycopg://candor@127.0.0.1:1/candor"},
            "PostgreSQL at 127.0.0.1:1 does not answer (connection refused); check it and database_url",
        ),
        (
            {"destinations": ({"name": "out", "kind": "folder", "folder": "/no/such/folder"},)},
            "destination out: /no/such/folder is not a folder that can be written; make it",
        ),
        (
            {"tls": {"certificate_file": "/no/such.crt", "key_file": "/no/such.key"}},
            "[tls]: certificate_file /no/such.crt does not exist\n[tls]: key_file /no/such.key does not exist",
        ),
        ({"key_file": "/no/such.key"}, "the site key /no/such.key does not exist; restore it from its backup"),
    ],
)  # fmt: skip
def test_what_the_settings_name_is_looked_at(settings, changes, expected):
    with pytest.raises(ConfigurationError) as caught:
        check(Settings.model_validate({**settings.model_dump(mode="json"), **changes}))
    assert str(caught.value).startswith(expected)


def test_the_files_of_the_site_are_read(settings):
    (settings.data_dir / "policy.toml").write_text("[" * 5000)
    with pytest.raises(ConfigurationError, match=r"policy\.toml cannot be read"):
        check(settings)


def test_the_check_neither_starts_nor_changes_anything(tmp_path, settings):
    before = {path: path.stat().st_mtime_ns for path in settings.data_dir.rglob("*") if path.is_file()}
    check(settings)
    after = {path: path.stat().st_mtime_ns for path in settings.data_dir.rglob("*") if path.is_file()}
    assert {path: after.get(path) for path in before if path.suffix in (".toml", ".db")} == {
        path: time_ns for path, time_ns in before.items() if path.suffix in (".toml", ".db")
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"host": "0.0.0.0"},
            ["open to everybody: each machine that reaches 0.0.0.0:11112 may send; set allowed_addresses or "
             "allowed_calling_ae_titles"],
        ),
        ({"host": "0.0.0.0", "allowed_addresses": ["10.0.0.0/8"]}, []),
        ({"host": "0.0.0.0", "allowed_calling_ae_titles": ["CT1"]}, []),
        ({"destinations": []}, [NO_DESTINATION]),
    ],
)  # fmt: skip
def test_what_is_allowed_but_seldom_meant_is_a_warning(tmp_path, changes, expected):
    assert warnings_of(made(tmp_path, **changes)) == expected


def test_a_data_folder_that_others_may_look_into_is_a_warning(settings):
    settings.data_dir.chmod(0o755)
    (settings.data_dir / "candor.toml").chmod(0o644)
    said = warnings_of(settings)
    assert [words.split("; run: ")[1] for words in said] == [
        f"chmod 700 {settings.data_dir}",
        f"chmod 600 {settings.data_dir}/candor.toml",
    ]


def test_a_disk_below_the_watermark_is_said_in_gib_at_init_too(tmp_path):
    settings = made(tmp_path, minimum_free_bytes=900 * 1024**4)
    [said] = warnings_of(settings)
    assert said.startswith("no image is received: ")
    assert "GiB free, below the 921600 GiB of minimum_free_bytes" in said
    assert "No image will be received there: " in next_steps(settings)
    assert "received there" not in next_steps(settings.model_copy(update={"minimum_free_bytes": 0}))


def test_certificates_that_end_are_warnings_of_the_one_they_belong_to(tmp_path, settings):
    old = certificate(tmp_path / "old", begins_days=-9, ends_days=-2)
    table = {"certificate_file": old.certificate_file, "key_file": old.key_file}
    changed = Settings.model_validate(
        {**settings.model_dump(mode="json"), "tls": table, "destinations": ({**PACS, "tls": table},)}
    )
    day = f"{datetime.fromtimestamp(time.time() - 2 * 86400, UTC):%Y-%m-%d}"
    assert warnings_of(changed) == [
        f"[tls]: certificate_file {old.certificate_file} expired on {day}: renew it",
        f"destination pacs: certificate_file {old.certificate_file} expired on {day}: renew it",
    ]


def test_the_addresses_of_this_machine_can_be_listened_on():
    addresses = own_addresses()
    assert "127.0.0.1" in addresses
    assert [why_not_ours(address) for address in (*addresses, "0.0.0.0", "::", "localhost")] == [None] * (
        len(addresses) + 3
    )


def test_a_taken_port_and_a_low_one_are_distinguished(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            _listen(Node(NodeSettings(port=port), MemoryIntake()), Settings(data_dir=tmp_path, port=port))
    assert str(caught.value) == (
        f"the DICOM node cannot listen on 127.0.0.1, port {port}: another program listens there; is another Candor "
        "running? Else set another port in candor.toml"
    )
    low = why_no_listener(PermissionError(13, "Permission denied"), "127.0.0.1", 104, "port")
    assert low.startswith("this account may not open a port below 1024")


def test_of_two_ports_the_one_that_is_taken_is_named(tmp_path):
    files = make_certificates(tmp_path)[0]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        table = {"certificate_file": files.certificate_file, "key_file": files.key_file, "port": port}
        settings = Settings(data_dir=tmp_path, port=free_port(), tls=table)
        node = Node(NodeSettings(port=settings.port, tls_port=port, tls=files), MemoryIntake())
        with pytest.raises(ConfigurationError) as caught:
            _listen(node, settings)
    assert f"port {port}: another program listens there" in str(caught.value)
    assert "set another port of [tls]" in str(caught.value)


class Readiness(BaseHTTPRequestHandler):
    """Not ready, then ready."""

    answers: list[tuple[int, dict[str, str]]]

    def do_GET(self):
        status, checks = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        body = json.dumps({"status": "x", "checks": checks}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def wait_for_text(terminal, words):
    deadline = time.monotonic() + 20
    while words not in terminal.getvalue():
        assert time.monotonic() < deadline, terminal.getvalue()
        time.sleep(0.02)


def test_the_terminal_says_why_it_is_not_ready_and_then_that_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(ready, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(ready, "PATIENCE_LOOKS", 2)
    Readiness.answers = [
        *[(503, {"disk": "ok", "worker": "the worker is starting (models are loading)"})] * 4,
        (200, {}),
    ]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Readiness)
    Thread(target=server.serve_forever, daemon=True).start()
    settings = Settings(data_dir=tmp_path, web_port=server.server_address[1], port=11113)
    terminal = io.StringIO()
    announce_readiness(settings, terminal)
    wait_for_text(terminal, "is ready")
    server.shutdown()
    assert terminal.getvalue().splitlines() == [
        "Candor is not ready yet: worker: the worker is starting (models are loading)",
        f"Candor is ready: DICOM CANDOR at 127.0.0.1:11113, status http://127.0.0.1:{settings.web_port}",
    ]


def test_the_ready_line_names_every_listener(tmp_path):
    table = {"certificate_file": "a", "key_file": "b"}
    both = Settings(data_dir=tmp_path, tls=table, host="::1")
    assert ready_line(both) == (
        "Candor is ready: DICOM CANDOR at [::1]:11112 and [::1]:2762 over TLS, status http://127.0.0.1:8443"
    )
    alone = Settings(data_dir=tmp_path, tls=table, plain_listener=False)
    assert "at 127.0.0.1:2762 over TLS, status" in ready_line(alone)


def test_warnings_reach_the_terminal_in_plain_words(tmp_path):
    terminal = io.StringIO()
    warn(made(tmp_path, destinations=[]), terminal)
    assert terminal.getvalue() == f"Warning: {NO_DESTINATION}\n"


def test_the_command_says_everything_on_stderr_with_exit_code_2(tmp_path):
    settings = made(tmp_path)
    (settings.data_dir / "candor.toml").write_text('prot = 1\nquiet_seconds = inf\nae_title = "A\\\\B"\n')
    done = subprocess.run(
        [sys.executable, "-m", "api", "config", "check", "--data", str(settings.data_dir)],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "COLUMNS": "400"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.split("candor.toml, ")[1].split(":")[0] for line in lines] == ["line 1", "line 2", "line 3"]
