"""Files that survive a power cut: a file appears whole under its name, or not at all.

A rename is atomic, but it is durable only when both the file and its folder are synced.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO


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
