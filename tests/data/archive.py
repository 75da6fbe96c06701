"""A data folder and its key as one file that is small enough to keep.

What is sealed cannot be compressed, and one overlay has two megabytes. So in the archive each stored object is open
behind its header, which holds its data key, and `unpack` seals it again: chunk by chunk with the same key, the same
bytes as before. Everything else is as it was. The layout of an object is written down here a second time on purpose:
what was packed must come back as it was, whatever becomes of core.store.objects.
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from core.store.keys import SiteKey

DATA, KEY = "data", "data.key"
CHUNK_BYTES, TAG_BYTES = 1 << 20, 16
PREFIX = b"CNDR" + bytes([1, 20, 0, 0])
WRAPPED_KEY = slice(8, 48)
HEADER_BYTES = 88


def pack(folder: Path, archive: Path) -> None:
    """Write `folder`/data and `folder`/data.key into `archive`; the same folder gives the same bytes."""
    key = SiteKey.load(folder / KEY)
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for path in (folder / KEY, folder / DATA, *sorted((folder / DATA).rglob("*"))):
            _add(tar, path, str(path.relative_to(folder)), key)


def unpack(archive: Path, folder: Path) -> None:
    """Put a packed data folder and its key into `folder`, byte for byte as they were."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    key = SiteKey.load(folder / KEY)
    for path in (folder / DATA / "objects").glob("??/*"):
        path.write_bytes(_sealed(path.read_bytes(), path.name, key))


def _add(tar: tarfile.TarFile, path: Path, name: str, key: SiteKey) -> None:
    info = tar.gettarinfo(path, name).replace(mtime=0, uid=0, gid=0, uname="", gname="", deep=False)
    if not path.is_file():
        tar.addfile(info)
        return
    data = path.read_bytes()
    if path.parent.parent.name == "objects":
        sealed, data = data, _opened(data, path.name, key)
        assert _sealed(data, path.name, key) == sealed, "unpacking must give back what was packed"
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def _opened(sealed: bytes, name: str, key: SiteKey) -> bytes:
    header, cipher = sealed[:HEADER_BYTES], _cipher(sealed, key)
    pieces = _numbered(sealed[HEADER_BYTES:], CHUNK_BYTES + TAG_BYTES)
    return header + b"".join(cipher.decrypt(nonce, piece, PREFIX + name.encode()) for nonce, piece in pieces)


def _sealed(opened: bytes, name: str, key: SiteKey) -> bytes:
    header, cipher = opened[:HEADER_BYTES], _cipher(opened, key)
    pieces = _numbered(opened[HEADER_BYTES:], CHUNK_BYTES)
    return header + b"".join(cipher.encrypt(nonce, piece, PREFIX + name.encode()) for nonce, piece in pieces)


def _cipher(stored: bytes, key: SiteKey) -> AESGCM:
    return AESGCM(aes_key_unwrap(key.object_keys[0], stored[WRAPPED_KEY]))


def _numbered(data: bytes, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Pieces of `size` bytes with their nonces: the piece's number, and 1 behind it for the last one."""
    starts = range(0, max(len(data), 1), size)
    for number, start in enumerate(starts):
        yield number.to_bytes(11, "big") + bytes([number == len(starts) - 1]), data[start : start + size]
