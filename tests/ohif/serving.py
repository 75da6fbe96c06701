"""Serve OHIF with a DICOMweb server behind it: one origin, loopback only, nothing else is asked."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path

from tests.ports import free_port

ROOT = "/dicom-web"
CONFIGURATION = """window.config = {routerBasename: '/', extensions: [], modes: [], customizationService: {},
 showStudyList: true, investigationalUseDialog: {option: 'never'}, defaultDataSourceName: 'candor', dataSources: [{
 namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'candor', configuration: {
 friendlyName: 'Candor', name: 'candor', wadoUriRoot: '/wado', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
 qidoSupportsIncludeField: false, imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
 supportsFuzzyMatching: false, supportsWildcard: true, omitQuotationForMultipartRequest: true,
 bulkDataURI: {enabled: true, relativeResolution: 'studies'}}}]};"""
_ISOLATED = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}


@contextmanager
def serving(build: Path, dicomweb: str) -> Iterator[str]:
    """The address of OHIF; `build`: its folder, `dicomweb`: the server's address up to its root."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith(f"{ROOT}/"):
                self._forward()
            elif path == "/app-config.js":
                self._answer(200, "application/javascript", CONFIGURATION.encode())
            else:
                self._file(build / path.lstrip("/"))

        def _forward(self) -> None:
            wanted = {"Accept": self.headers.get("Accept", "*/*")}
            request = urllib.request.Request(f"{dicomweb}{self.path.removeprefix(ROOT)}", headers=wanted)
            try:
                with urllib.request.urlopen(request, timeout=60) as found:
                    self._answer(found.status, found.headers.get("Content-Type", ""), found.read())
            except urllib.error.HTTPError as error:
                self._answer(error.code, "application/json", error.read())

        def _file(self, path: Path) -> None:
            file = path if path.is_file() else build / "index.html"
            self._answer(200, guess_type(file.name)[0] or "application/octet-stream", file.read_bytes(), **_ISOLATED)

        def _answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    port = free_port()
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.shutdown()
        server.server_close()
