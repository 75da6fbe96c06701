"""What is in a model package: which files, with which hashes, and that none of them is code in disguise.

A pickle runs whatever its maker wants as soon as it is opened, and a name proves nothing about a file: so each file is
looked at by its bytes. Containers (zip, which is how torch saves, tar, gzip and their kind) are refused whatever is in
them, because a package needs none and anything hides there. In MONAI bundle configs a text that begins with `$` is
evaluated as Python and `_target_` names what to call: such configs are taken only from a maker whose signature is
trusted.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import IO

from core.errors import ConfigurationError, IntegrityError
from core.wording import on_a_terminal
from models.package.configs import SUFFIXES, code_of_config
from models.package.pickles import PICKLE_SUFFIXES, holds_pickle, is_pickle

SIGNATURE = Path("signature.json")
_CONTAINERS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"\x04\x22\x4d\x18": "LZ4",
}
_TAR_MAGIC = (257, b"ustar")


def files_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a package, by its path in it.

    Raises IntegrityError for a link or anything else that is not a plain file: it may lead out of the package.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not name.isprintable():
            raise IntegrityError(
                f"{on_a_terminal(name)} in {on_a_terminal(folder.name)} has a name that cannot be printed"
            )
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise IntegrityError(f"{name} in {folder.name} is not a plain file; a package holds nothing else")
        if path.is_file():
            found[name] = sha256_of(path)
    return found


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror})") from error


def canonical(files: dict[str, str]) -> bytes:
    """The list of a package's files and hashes as the bytes that a maker signs; the signature itself is not in it."""
    signed = {name: digest for name, digest in files.items() if name != SIGNATURE.as_posix()}
    return json.dumps({"files": signed}, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """One phrase for each file that was changed, is missing or was added, in the order of their names."""
    changes = []
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            changes.append(f"{name} is missing")
        elif name not in expected:
            changes.append(f"{name} was added")
        elif expected[name] != found[name]:
            changes.append(f"{name} was changed")
    return changes


def refuse_code(folder: Path, called: str, *, signed: bool) -> None:
    """Raise IntegrityError when a file is a pickle or a container, or an unsigned config holds code for MONAI."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        name = f"{path.relative_to(folder).as_posix()} in {called}"
        if path.suffix.lower() in PICKLE_SUFFIXES:
            raise IntegrityError(f"{name} is a pickle by its name, and a pickle can run any code")
        with path.open("rb") as file:
            if why := code_in(file):
                raise IntegrityError(f"{name} {why}")
        if not signed and path.suffix.lower() in SUFFIXES and (why := code_of_config(path)):
            raise IntegrityError(f"{name} {why}; such a config is taken only from a trusted maker who signed it")


def code_in(file: IO[bytes]) -> str:
    """Why the bytes of a file cannot be taken, or ""; its name does not count."""
    head = file.read(512)
    for magic, kind in _CONTAINERS.items():
        if head.startswith(magic):
            return f"is a {kind} container, in which anything can hide"
    at, magic = _TAR_MAGIC
    if head[at : at + len(magic)] == magic:
        return "is a tar container, in which anything can hide"
    if why := _zip(file, head):
        return why
    if head.startswith(b"\x93NUMPY"):
        return "holds pickled Python objects (an array of dtype object)" if b"|O" in head or b"'O'" in head else ""
    file.seek(0)
    if is_pickle(file):
        return "is a pickle, which can run any code"
    file.seek(0)
    return "has a pickle in it, which can run any code" if holds_pickle(file.read()) else ""


def _zip(file: IO[bytes], head: bytes) -> str:
    """Zip is found from its end, so anything may stand before it: a picture with a zip behind it is one too.

    Whether its members can be read does not matter: something more lenient than Python may read them.
    """
    if not (head.startswith(b"PK\x03\x04") or _ends_in_a_directory(file)):
        return ""
    name = _pickle_in(file)
    if name:
        return f"is a zip container with a pickle in it ({name}), which can run any code"
    return "is a zip container, in which anything can hide"


def _ends_in_a_directory(file: IO[bytes]) -> bool:
    try:
        return zipfile.is_zipfile(file)
    except Exception:  # noqa: BLE001 - a boundary: there is a directory of files, but a broken one
        return True


def _pickle_in(file: IO[bytes]) -> str:
    """The name of a member that is a pickle, "" when none is found, which says nothing of a broken container."""
    try:
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                if Path(name).suffix.lower() in PICKLE_SUFFIXES or _member_is_pickle(archive, name):
                    return Path(name).name
    except Exception:  # noqa: BLE001, S110 - a boundary: any bytes at all, and each packing method has its own errors
        pass
    return ""


def _member_is_pickle(archive: zipfile.ZipFile, name: str) -> bool:
    with archive.open(name) as member:
        return is_pickle(io.BytesIO(member.read(1024 * 1024)))
