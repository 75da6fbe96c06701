"""Pickles, found by what their bytes would do, anywhere in a file; nothing is ever unpickled."""

from __future__ import annotations

import io
import pickletools
import re
import warnings
from collections.abc import Iterator
from typing import IO

PICKLE_SUFFIXES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"})
_IMPORTS = frozenset({"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"})  # what a pickle gets its callables by
_CALLS = frozenset({"REDUCE", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "BUILD"})
_DOTTED_NAMES = re.compile(r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*")
_DOTTED_NAME = re.compile(r"[A-Za-z_][\w.]*")
_LONGEST_PICKLE = 100_000  # opcodes; no file of ours looks like a pickle for so long
_LONGEST_LOOK = 10_000  # opcodes from one place in a file
_LONGEST_SEARCH = 300_000  # opcodes in a whole file; what is made to look like so many is no file of a package
_PROTO = re.compile(rb"\x80[\x00-\x05]")
"""By which every pickle since 2003 begins."""
_SECOND_LINE = re.compile(rb"\n(?=[A-Za-z_][\w.]{0,200}\n)")
_FIRST_LINE = re.compile(rb"[A-Za-z_][\w.]{1,200}\Z")
"""An import of protocol 0 is `c` or `i`, and its two names, each with the end of a line."""


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


def holds_pickle(data: bytes) -> bool:
    """Whether a pickle that imports by name and calls what it imported is anywhere in these bytes.

    Weights hold any bytes by chance, so what counts is a whole pickle: from its beginning to STOP, with a name that
    Python could have and a call.
    """
    file = io.BytesIO(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # escapes in text that is no pickle
        looked = 0
        for start in _beginnings(data):
            runs, opcodes = _runs_from(file, start)
            looked += opcodes
            if runs or looked > _LONGEST_SEARCH:
                return True
    return False


def _beginnings(data: bytes) -> Iterator[int]:
    """Where a pickle may begin."""
    for found in _PROTO.finditer(data):
        yield found.start()
    for found in _SECOND_LINE.finditer(data):
        end = found.start()
        start = max(0, end - 201)
        first = _FIRST_LINE.search(data[start:end])
        if first:
            yield from (start + at for at in range(first.start(), first.end() - 1) if data[start + at] in b"ci")


def _runs_from(file: io.BytesIO, start: int) -> tuple[bool, int]:
    """Whether a whole pickle begins here that calls what it imports, and how many opcodes it took to see."""
    file.seek(start)
    count = 0
    texts: list[str] = []
    has_import = has_call = False
    for count, (name, argument) in enumerate(_opcodes(file), 1):
        if isinstance(argument, str):
            texts = [*texts[-1:], argument]
        if name == "STACK_GLOBAL":
            has_import |= len(texts) == 2 and all(_DOTTED_NAME.fullmatch(text) for text in texts)
        elif name in ("GLOBAL", "INST"):
            has_import |= _DOTTED_NAMES.fullmatch(str(argument)) is not None
        has_call |= name in _CALLS
        if name == "STOP":
            return has_import and has_call, count
    return False, count


def _opcodes(file: io.BytesIO) -> Iterator[tuple[str, object]]:
    """The opcodes from here, as far as the bytes are some; the last of a whole pickle is STOP."""
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
            if count > _LONGEST_LOOK:
                return
            yield opcode.name, argument
    except Exception:  # noqa: BLE001 - a boundary: any bytes at all, and genops raises a dozen classes; no pickle then
        return


def _could_import(opcode: str, argument: object, count: int) -> bool:
    if opcode in ("GLOBAL", "INST"):
        return _DOTTED_NAMES.fullmatch(str(argument)) is not None
    return count > 2  # these take what was pushed before
