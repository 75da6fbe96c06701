"""One client may take only its share of the web process, over a real socket: time, connections, bytes, and no proxy."""

import json
import logging
import re
import socket
import threading
import time
from contextlib import suppress

import httpx2
import pytest
import structlog
import uvicorn

from api.web import bounds
from api.web.app import create_app
from api.web.bounds import MAXIMUM_BODY_BYTES, BoundedConnection
from core.settings import Settings
from core.store.keys import SiteKey
from core.store.store import open_store

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(bounds, "REQUEST_SECONDS", 1.0)
        monkeypatch.setattr(bounds, "CONNECTIONS_PER_ADDRESS", 20)
        yield from served(tmp_path_factory.mktemp("web"))


def served(folder):
    """The port of a web process on a new store."""
    settings = Settings(data_dir=folder / "data", minimum_free_bytes=0)
    settings.data_dir.mkdir()
    SiteKey.create(settings.site_key_file)
    store = open_store(settings)
    config = uvicorn.Config(
        create_app(store, settings), http=BoundedConnection, ws="none", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.02)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(20)
    store.close()


def status(port, request):
    """The status line's number that a request gets; 0 when the connection is closed without an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        answer = connection.recv(65536)
    return int(answer.split()[1]) if answer else 0


@pytest.mark.parametrize(
    "header",
    [
        "Via: 1.1 squid", "Forwarded: for=192.0.2.7", "X-Forwarded-For: 192.0.2.7", "X-Forwarded-Host: pacs.example",
        "X-Forwarded-Proto: https", "X-Forwarded-Server: a", "X-Forwarded: for=1", "X-Real-IP: 192.0.2.7",
        "CF-Connecting-IP: 192.0.2.7", "CF-Ray: 1", "True-Client-IP: 192.0.2.7", "X-Client-IP: 192.0.2.7",
        "X-Cluster-Client-IP: 192.0.2.7", "Fastly-Client-IP: 192.0.2.7", "X-Original-URL: /",
        "X-Envoy-External-Address: 1",
        "X-Amzn-Trace-Id: Root=1", "X-Azure-ClientIP: 1", "CDN-Loop: cloudflare", "Proxy-Connection: keep-alive",
        "WL-Proxy-Client-IP: 192.0.2.7", "Origin: http://evil.example", "Origin: null", "Origin: http://localhost:3000",
        "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
    ],
)  # fmt: skip
def test_what_shows_a_proxy_or_another_site_is_turned_away(port, header):
    assert status(port, GET + header.encode() + b"\r\n\r\n") == 403


@pytest.mark.parametrize(
    "request_bytes",
    [
        GET + b"\r\n",
        GET + b"Sec-Fetch-Site: none\r\nAccept: */*\r\nUser-Agent: Prometheus/2.45\r\n\r\n",
        GET + b"Sec-Fetch-Site: same-origin\r\nOrigin: http://localhost\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n",
    ],
)
def test_a_program_or_person_on_this_machine_is_answered(port, request_bytes):
    assert status(port, request_bytes) == 200


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\t\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost:\tlocalhost\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n", 505),
        (b"GET /healthz HTTP/0.9\r\nHost: localhost\r\n\r\n", 505),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
        (b"GET /\x00CANARY HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"CANARY\r\n\r\n", 400),
        (GET + b"Content-Length: -5\r\n\r\n", 400),
        (GET + b"X: " + b"a" * 70_000, 400),
    ],
)
def test_what_is_no_http_is_turned_away(port, request_bytes, expected):
    assert status(port, request_bytes) == expected


def test_malformed_requests_are_one_event_of_ours_without_a_word_of_them(port, caplog, monkeypatch):
    monkeypatch.setattr(bounds, "_refused", bounds.RepeatedEvents())
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as events:
        for _ in range(30):
            status(port, b"CANARY^NAME \x00\r\n\r\n")
    assert [(e["event"], e["reason"]) for e in events] == [("web.connection_refused", "the request is not HTTP")]
    assert "Invalid HTTP" not in caplog.text
    assert "CANARY" not in caplog.text + json.dumps(events, default=str)


def test_a_body_is_cut_off_while_it_arrives(port):
    url = f"http://127.0.0.1:{port}/api/studies/abc/explanations"

    def endless():
        for number in range(100_000):
            sent.append(number)
            yield b"x" * 65536

    sent = []
    answer = None
    with suppress(httpx2.TransportError):  # the connection was closed while we were sending
        answer = httpx2.post(url, content=endless(), headers={"content-type": "application/json"}, timeout=20)
    assert answer is None or answer.status_code == 413
    assert len(sent) < 100_000


def test_a_body_that_is_announced_too_long_is_not_read(port):
    head = GET.replace(b"GET /healthz", b"POST /api/studies/abc/explanations")
    announced = head + f"Content-Type: application/json\r\nContent-Length: {MAXIMUM_BODY_BYTES + 1}\r\n\r\n".encode()
    assert status(port, announced) == 413
    assert status(port, GET + b"Content-Length: 300000000\r\n\r\n") == 413


def test_a_chunked_body_over_the_limit_is_answered_413(port):
    head = GET.replace(b"GET /healthz", b"POST /api/studies/abc/explanations")
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    request = head + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 4
    assert status(port, request) == 413


def test_a_client_that_never_finishes_its_header_is_closed(port):
    slow = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
    slow[0].sendall(b"GET / HTTP/1.1\r\nX-A: ")
    slow[1].sendall(GET.replace(b"GET", b"POST") + b"Content-Length: 10\r\n\r\nabc")  # a body that never ends
    begun = time.monotonic()
    for connection in slow:
        connection.settimeout(8)
        try:
            while connection.recv(1000):
                pass
        except ConnectionResetError:
            pass
        connection.close()
    assert time.monotonic() - begun < 5


def test_a_connection_that_drips_does_not_live_longer_than_the_limit(port):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        begun = time.monotonic()
        try:
            while time.monotonic() - begun < 8:
                connection.sendall(b"X")
                time.sleep(0.1)
        except OSError:
            pass
    assert time.monotonic() - begun < 5


def test_many_idle_connections_keep_no_other_out(port):
    idle = []
    for _ in range(200):
        idle.append(socket.create_connection(("127.0.0.1", port), timeout=10))
    begun = time.monotonic()
    assert httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
    assert time.monotonic() - begun < 3
    time.sleep(0.2)
    alive = 0
    for connection in idle:
        connection.setblocking(False)
        try:
            connection.recv(1)
        except BlockingIOError:
            alive += 1
        except ConnectionResetError:
            pass
        connection.close()
    assert alive <= 20


def test_a_connection_is_used_again_for_several_requests(port):
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(5):
            assert client.get("/healthz").status_code == 200
            time.sleep(0.3)
        time.sleep(1.0)
        assert client.get("/healthz").status_code == 200


def test_the_front_leads_to_readiness(port):
    answer = httpx2.get(f"http://127.0.0.1:{port}/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/readyz")
    followed = httpx2.get(f"http://127.0.0.1:{port}/", follow_redirects=True)
    assert re.match(r'\{"status":"not ready"', followed.text)
