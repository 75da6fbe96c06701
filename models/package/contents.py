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
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from core.errors import ConfigurationError, IntegrityError

SIGNATURE = Path("signature.json")
_PICKLE_SUFFIXES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"})
_CONFIG_SUFFIXES = frozenset({".json", ".yaml", ".yml"})
_CONTAINERS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"\x04\x22\x4d\x18": "LZ4",
}
_TAR_MAGIC = (257, b"ustar")
_IMPORTS = frozenset({"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"})  # what a pickle gets its callables by
_DOTTED_NAMES = re.compile(r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*")
_LONGEST_PICKLE = 100_000  # opcodes; no file of ours looks like a pickle for so long
_YAML_EXPRESSION = re.compile(r"""(?:^|[\s:\-\[{,])['"]?\$|_target_""")


def files_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of a package, by its path in it.

    Raises IntegrityError for a link or anything else that is not a plain file: it may lead out of the package.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
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
        if path.suffix.lower() in _PICKLE_SUFFIXES:
            raise IntegrityError(f"{name} is a pickle by its name, and a pickle can run any code")
        with path.open("rb") as file:
            if why := code_in(file):
                raise IntegrityError(f"{name} {why}")
        if not signed and path.suffix.lower() in _CONFIG_SUFFIXES and (why := _expression_in(path)):
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
    return "is a pickle, which can run any code" if is_pickle(file) else ""


def is_pickle(file: IO[bytes]) -> bool:
    """Whether unpickling these bytes would do anything: import something, or end in an object.

    Read opcode by opcode and never executed. Plain text can look like a few opcodes of protocol 0; it counts when it
    imports by a name that Python could have, or when it is a whole pickle and nothing else.
    """
    head = file.read(2)
    if len(head) == 2 and head[0] == 0x80 and head[1] <= 5:  # PROTO, by which every pickle since 2003 begins
        return True
    file.seek(0)
    count = 0
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file), 1):
            if (opcode.name in _IMPORTS and _could_import(opcode.name, argument, count)) or count > _LONGEST_PICKLE:
                return True
    except Exception:  # noqa: BLE001 - a boundary: any bytes at all, and genops raises a dozen classes; no pickle then
        return False
    return count > 1 and not file.read(64).strip()


def _could_import(opcode: str, argument: object, count: int) -> bool:
    if opcode in ("GLOBAL", "INST"):
        return _DOTTED_NAMES.fullmatch(str(argument)) is not None
    return count > 2  # these take what was pushed before


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
                if Path(name).suffix.lower() in _PICKLE_SUFFIXES or _member_is_pickle(archive, name):
                    return Path(name).name
    except Exception:  # noqa: BLE001, S110 - a boundary: any bytes at all, and each packing method has its own errors
        pass
    return ""


def _member_is_pickle(archive: zipfile.ZipFile, name: str) -> bool:
    with archive.open(name) as member:
        return is_pickle(io.BytesIO(member.read(1024 * 1024)))


def _expression_in(path: Path) -> str:
    """What MONAI would run of a config, in words, or ""."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return "is not UTF-8 text, as a config must be"
    if path.suffix.lower() == ".json":
        try:
            return next(_code_of(json.loads(text)), "")
        except (ValueError, RecursionError):
            pass  # not JSON for Python, but perhaps for a parser that is less strict: look at the text
    return "holds an expression that MONAI would run" if _YAML_EXPRESSION.search(text) else ""


def _code_of(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.lstrip().startswith("$"):
        yield "holds an expression ($...) that MONAI would run"
    elif isinstance(value, dict):
        if "_target_" in value:
            yield "names code to call (_target_), which MONAI would run"
        for item in value.values():
            yield from _code_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from _code_of(item)
