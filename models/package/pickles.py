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
_BEGINNINGS = re.compile(rb"\x80[\x00-\x05]|[ci](?=[A-Za-z_][\w.]{0,200}\n[A-Za-z_][\w.]{0,200}\n)")
"""PROTO, by which every pickle since 2003 begins, or an import of protocol 0 by its names."""


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
        return any(_runs_from(file, found.start()) for found in _BEGINNINGS.finditer(data))


def _runs_from(file: io.BytesIO, start: int) -> bool:
    file.seek(start)
    texts: list[str] = []
    has_import = has_call = False
    for name, argument in _opcodes(file):
        if isinstance(argument, str):
            texts = [*texts[-1:], argument]
        if name == "STACK_GLOBAL":
            has_import |= len(texts) == 2 and all(_DOTTED_NAME.fullmatch(text) for text in texts)
        elif name in ("GLOBAL", "INST"):
            has_import |= _DOTTED_NAMES.fullmatch(str(argument)) is not None
        has_call |= name in _CALLS
        if name == "STOP":
            return has_import and has_call
    return False


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
