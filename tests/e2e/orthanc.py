"""Debian's Orthanc as the PACS, on loopback with a database of its own."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.house import is_listening, wait_until
from tests.ports import free_port

BINARY = Path("/usr/sbin/Orthanc")
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc."""

    dicom_port: int
    http_port: int

    def get(self, path: str) -> Any:
        """JSON of its REST interface."""
        return json.loads(self.fetch(path))

    def fetch(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=30) as answer:
            return bytes(answer.read())

    def post(self, path: str, body: Any) -> Any:
        return json.loads(self.fetch_after_post(path, body) or b"null")

    def fetch_after_post(self, path: str, body: Any) -> bytes:
        """What it answers to a POST, as it comes: `/instances/ID/modify` answers with a file."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=data, method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def instances(self) -> list[bytes]:
        """Every object it holds, as files."""
        return [data for _, data in self.named_instances()]

    def named_instances(self) -> list[tuple[str, bytes]]:
        """Every object under the name that Orthanc has for it."""
        return [(name, self.fetch(f"/instances/{name}/file")) for name in self.get("/instances")]


@contextmanager
def running_orthanc(
    folder: Path, *, candor_port: int, plugins: tuple[Path, ...] = (), more: Mapping[str, Any] | None = None
) -> Iterator[Orthanc]:
    """Start Orthanc with Candor as the modality it knows and `more` settings; stop it at the end.

    `plugins`: files, DICOMWEB for one.
    """
    orthanc = Orthanc(dicom_port=free_port(), http_port=free_port())
    configuration = {
        "Name": "PACS",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "DicomAet": "PACS",
        "DicomPort": orthanc.dicom_port,
        "HttpPort": orthanc.http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomCheckCalledAet": True,
        "DicomModalities": {"candor": ["CANDOR", "127.0.0.1", candor_port]},
        "HttpBindAddresses": ["127.0.0.1"],
        "Plugins": [str(plugin) for plugin in plugins],
        **(more or {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [str(BINARY), str(folder / "orthanc.json")],
            stdout=log,
            stderr=log,
            env={"TCP_NODELAY": "1", "PATH": "/usr/bin:/bin"},
        )
    try:
        wait_until(lambda: is_listening(orthanc.http_port), seconds=30, what="Orthanc")
        yield orthanc
    finally:
        process.terminate()
        process.wait(timeout=30)
