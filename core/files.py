"""Files that survive a power cut: a file appears whole under its name, or not at all.

A rename is atomic, but it is durable only when both the file and its folder are synced.
"""

from __future__ import annotations

import errno
import os
import pwd
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

GIB = 1024**3


def write_durably(path: Path, data: bytes, *, replace: bool = True) -> None:
    """Write `data` to `path`, for this account only (mode 0600); durable when this returns.

    FileExistsError when `replace` is False and the name is taken; OSError when the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            publish(file, temporary, path, replace=replace)
    finally:
        temporary.unlink(missing_ok=True)


def publish(file: BinaryIO, temporary: Path, path: Path, *, replace: bool = True) -> None:
    """Give the file that was written as `temporary` its name; durable when this returns."""
    sync_file(file)
    if replace:
        temporary.replace(path)
    else:
        path.hardlink_to(temporary)  # unlike a rename it fails when the name is taken
    sync_folders([path.parent])


def sync_file(file: BinaryIO) -> None:
    """Make what was written to `file` durable."""
    file.flush()
    os.fsync(file.fileno())


def sync_folders(folders: Iterable[Path]) -> None:
    """Make the entries of `folders` durable: files that were created, renamed or removed in them."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_private_folder(folder: Path, *, parents: bool = True) -> None:
    """Make `folder`, and what is missing above it, for this account only (mode 0700), whatever the umask.

    A folder that is there keeps its mode. OSError when it cannot be made.
    """
    missing = [folder] if not folder.exists() else []
    if parents:
        missing += [parent for parent in folder.parents if not parent.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))


def open_private(path: str, flags: int) -> int:
    """An `opener` for `open`: a file that is made is for this account only (mode 0600), whatever the umask."""
    return os.open(path, flags, 0o600)


def owner_of(path: Path) -> str:
    """The name of the account that owns `path`; its number where the machine knows no name."""
    number = path.stat().st_uid
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def why_unusable(path: Path, error: OSError, verb: str) -> str:
    """One sentence: `path` cannot be read (or written), why, and what to do; `verb`: read, written."""
    reason = f"{path} cannot be {verb} ({(error.strerror or type(error).__name__).lower()})"
    if error.errno not in (errno.EACCES, errno.EPERM):
        return reason
    return _with_owner(path, reason)


def _with_owner(path: Path, reason: str) -> str:
    """Whose it is, or whose folder hides it."""
    for one in (path, *path.parents):
        try:
            owner, mine = owner_of(one), one.stat().st_uid == os.geteuid()
        except OSError:
            continue
        what = "it" if one == path else str(one)
        if mine:
            return f"{reason}: {what} belongs to this account, but its permissions forbid it; see ls -ld {one}"
        return f"{reason}: {what} belongs to {owner}; run as that account: sudo -u {owner} candor ..."
    return reason


def disk_shortage(free_bytes: int, minimum_free_bytes: int) -> str | None:
    """One sentence when less is free than `minimum_free_bytes` asks for, else None."""
    if free_bytes >= minimum_free_bytes:
        return None
    free, least = free_bytes / GIB, minimum_free_bytes / GIB
    return f"{free:.1f} GiB free, below the {least:.{1 if least < 100 else 0}f} GiB of minimum_free_bytes"


def free_bytes(folder: Path) -> int:
    """What the disk of `folder` has left for this account."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
