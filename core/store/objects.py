"""Where the bytes of images and results are kept: one encrypted file per object.

Each object has a data key of its own, wrapped with the site key (AES key wrap, RFC 3394), and is sealed with
AES-256-GCM in chunks of 1 MiB. A chunk's nonce is its number and whether it is the last one (the STREAM construction
of Hoang, Reyhanitabar, Rogaway and Vizar, 2015), and its associated data name the object: a flipped bit, a cut at a
chunk boundary, a reordered chunk and a file moved to another object's name are all detected. File layout:

    magic "CNDR" | version | log2 of the chunk size | 2 zero bytes | wrapped key, slot 0 | wrapped key, slot 1 | chunks

Two slots, so that rotation never overwrites the only key that opens an object. An object appears whole or not at all:
it is written under a temporary name, synced, renamed, and its folder is synced. No setting switches that off.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from core.errors import DiskFull, IntegrityError, Unavailable
from core.files import free_bytes, make_private_folder, publish, sync_file, sync_folders
from core.store.keys import SiteKey

CHUNK_BYTES = 1 << 20
TAG_BYTES = 16
PREFIX = b"CNDR" + bytes([1, 20, 0, 0])
SLOT_BYTES = 40  # RFC 3394: a 32-byte key and 8 bytes of integrity check
HEADER_BYTES = len(PREFIX) + 2 * SLOT_BYTES
EMPTY_SLOT = bytes(SLOT_BYTES)
INCOMING = "incoming"
_OBJECT_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """What is known of an object once it is safe: its random name, and size and SHA-256 (hex) of its plain bytes."""

    object_key: str
    size_bytes: int
    sha256: str


class ObjectStore:
    """A folder of encrypted objects; any number of threads and processes may use it at the same time."""

    def __init__(self, root: Path, key: SiteKey, *, minimum_free_bytes: int) -> None:
        self._root = root
        self._incoming = root / INCOMING
        self._wrapping_keys = key.object_keys
        self._minimum_free_bytes = minimum_free_bytes
        with _disk_errors():
            self._make_folders()

    def put(self, data: bytes | Iterable[bytes]) -> StoredObject:
        """Keep `data`; durable when this returns. Pieces must not change once they are handed over.

        DiskFull when fewer than `minimum_free_bytes` are free (nothing was written then) or when the disk fills up on
        the way (nothing is left behind); Unavailable when the disk refuses for another reason.
        """
        object_key = secrets.token_hex(16)
        with _disk_errors():
            if self.free_bytes() < self._minimum_free_bytes:
                raise DiskFull("the disk of the object store is nearly full; free some space or add some")
            with self._incoming_file() as (path, file):
                size_bytes, sha256 = self._seal(file, object_key, [data] if isinstance(data, bytes) else data)
                publish(file, path, self._path(object_key))
        return StoredObject(object_key=object_key, size_bytes=size_bytes, sha256=sha256)

    def get(self, object_key: str) -> bytes:
        """The plain bytes; IntegrityError when they are not exactly what was put, or gone."""
        with _disk_errors(), self._open(object_key, "rb") as file:
            data_key, _ = self._unwrap(file.read(HEADER_BYTES))
            return b"".join(_unseal(file, data_key, object_key))

    def delete(self, object_key: str) -> None:
        """Forget an object, durably; one that is gone already is fine."""
        path = self._path(object_key)
        with _disk_errors(), suppress(FileNotFoundError):
            path.unlink()
            sync_folders([path.parent])

    def rewrap(self, object_key: str) -> bool:
        """Wrap the object's data key with the newest secret alone; False when that was so. Its chunks stay as they are.

        Safe at any moment: the new key is on disk before the old one is wiped.
        """
        with _disk_errors(), self._open(object_key, "r+b") as file:
            header = file.read(HEADER_BYTES)
            data_key, slot = self._unwrap(header)
            newest = aes_key_wrap(self._wrapping_keys[0], data_key)  # deterministic: equal when nothing is to do
            slots = _slots(header)
            if slots[slot] == newest:
                if slots[1 - slot] == EMPTY_SLOT:
                    return False
                slot = 1 - slot  # an earlier rotation was interrupted: only the wiping is left
            else:
                _write_slot(file, 1 - slot, newest)
            _write_slot(file, slot, EMPTY_SLOT)
            return True

    def object_keys(self) -> Iterator[str]:
        """Every object's name, in no order."""
        for shard in self._root.glob("[0-9a-f][0-9a-f]"):
            yield from (path.name for path in shard.iterdir() if _OBJECT_KEY.fullmatch(path.name))

    def sweep(self) -> int:
        """Remove what writers that died left behind, and say how many; files being written now are left alone."""
        removed = 0
        for path in self._incoming.iterdir():
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # a living writer holds this lock
                path.unlink()
                removed += 1
        return removed

    def free_bytes(self) -> int:
        """What the disk has left for this process."""
        return free_bytes(self._root)

    def _make_folders(self) -> None:
        """All of them at once: making one for the first object in it would cost that object two more syncs."""
        make_private_folder(self._incoming)
        for number in range(256):
            (self._root / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
        sync_folders([self._root])

    def _path(self, object_key: str) -> Path:
        if not _OBJECT_KEY.fullmatch(object_key):
            raise IntegrityError("this is not the name of a stored object")
        return self._root / object_key[:2] / object_key

    def _open(self, object_key: str, mode: str) -> BinaryIO:
        try:
            return self._path(object_key).open(mode)  # type: ignore[return-value]  # both modes are binary
        except FileNotFoundError:
            raise IntegrityError(f"the stored object {object_key} is gone; restore it from the backup") from None

    @contextmanager
    def _incoming_file(self) -> Iterator[tuple[Path, BinaryIO]]:
        path, file = self._locked_file()
        with file:
            try:
                yield path, file
            finally:
                path.unlink(missing_ok=True)  # after publishing there is nothing left under this name

    def _locked_file(self) -> tuple[Path, BinaryIO]:
        """A new file whose lock tells `sweep` that its writer lives; made again when a sweep came in between."""
        while True:
            path = self._incoming / secrets.token_hex(16)
            file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                return path, file
            file.close()

    def _seal(self, file: BinaryIO, object_key: str, pieces: Iterable[bytes]) -> tuple[int, str]:
        data_key = AESGCM.generate_key(256)
        cipher, associated = AESGCM(data_key), _associated(object_key)
        digest, size_bytes = hashlib.sha256(), 0
        _write(file, PREFIX + aes_key_wrap(self._wrapping_keys[0], data_key) + EMPTY_SLOT)
        for number, (chunk, last) in enumerate(_chunks(pieces)):
            digest.update(chunk)
            size_bytes += len(chunk)
            _write(file, cipher.encrypt(_nonce(number, last), chunk, associated))
        return size_bytes, digest.hexdigest()

    def _unwrap(self, header: bytes) -> tuple[bytes, int]:
        """The data key and the slot it was found in, by the newest secret that opens one."""
        if len(header) != HEADER_BYTES or not header.startswith(PREFIX):
            raise IntegrityError("a stored object is damaged: its header is not one of Candor's")
        for wrapping_key in self._wrapping_keys:
            for slot, wrapped in enumerate(_slots(header)):
                with suppress(InvalidUnwrap):
                    return aes_key_unwrap(wrapping_key, wrapped), slot
        raise IntegrityError("a stored object does not open with this site key; is it the key of this data folder?")


def _slots(header: bytes) -> tuple[bytes, bytes]:
    middle = len(PREFIX) + SLOT_BYTES
    return header[len(PREFIX) : middle], header[middle:HEADER_BYTES]


def _write_slot(file: BinaryIO, slot: int, wrapped: bytes) -> None:
    file.seek(len(PREFIX) + slot * SLOT_BYTES)
    file.write(wrapped)
    sync_file(file)


def _write(file: BinaryIO, data: bytes) -> None:
    """Write all of it: an unbuffered file may take less than it is given."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def _chunks(pieces: Iterable[bytes]) -> Iterator[tuple[bytes | memoryview, bool]]:
    """Cut `pieces` into chunks; the last one is full, shorter, or, of an empty object only, empty."""
    waiting: list[memoryview] = []  # less than a chunk, or a whole one that may be the last; views, not copies
    waiting_bytes = 0
    for piece in pieces:
        view = memoryview(piece)
        while waiting_bytes + len(view) > CHUNK_BYTES:  # more than a chunk: so this one is not the last
            taken = CHUNK_BYTES - waiting_bytes
            yield _joined([*waiting, view[:taken]]), False
            waiting, waiting_bytes, view = [], 0, view[taken:]
        if view:
            waiting.append(view)
            waiting_bytes += len(view)
    yield _joined(waiting), True


def _joined(views: list[memoryview]) -> bytes | memoryview:
    return views[0] if len(views) == 1 else b"".join(views)


def _unseal(file: BinaryIO, data_key: bytes, object_key: str) -> Iterator[bytes]:
    cipher, associated = AESGCM(data_key), _associated(object_key)
    sealed, number, last = file.read(CHUNK_BYTES + TAG_BYTES), 0, False
    while not last:
        following = file.read(CHUNK_BYTES + TAG_BYTES)
        last = not following
        try:
            chunk = cipher.decrypt(_nonce(number, last), sealed, associated)
        except (InvalidTag, ValueError):
            raise IntegrityError(f"the stored object {object_key} was changed; restore it from the backup") from None
        yield chunk
        sealed, number = following, number + 1


def _nonce(number: int, last: bool) -> bytes:
    """12 bytes: the chunk's number and 1 for the last one. A data key seals one object, so no nonce comes twice."""
    return number.to_bytes(11, "big") + bytes([last])


def _associated(object_key: str) -> bytes:
    return PREFIX + object_key.encode("ascii")


@contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except (ConnectionError, TimeoutError):  # of the sender of the pieces, not of the disk
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull("the disk of the object store is full; free some space or add some") from error
        raise Unavailable(f"the object store's disk refuses: {os.strerror(error.errno or errno.EIO)}") from error
