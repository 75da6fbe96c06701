"""Texts by their Specific Character Set (PS3.3 C.12.1.1.2), also where pydicom's table has a gap."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.charset import convert_encodings, decode_bytes, python_encoding

_MISSING = {"ISO_IR 203": "iso8859_15"}  # Latin alphabet No. 9, which pydicom does not have
_DEFAULT = ("", "ISO_IR 6")  # ASCII: what is beyond it is not declared
_GB_2312 = "\x1b$)A"  # pydicom decodes the characters of ISO 2022 IR 58 and leaves their escape sequence in
UNKNOWN = "\ufffd"
"""In a decoded text: here stood what its character set does not have."""


def encodings_of(terms: Sequence[str]) -> tuple[list[str], bool]:
    """Python's names of character sets, [] where none is declared or known; and whether all of them are known."""
    if len(terms) == 1 and terms[0] in _MISSING:
        return [_MISSING[terms[0]]], True
    known = [term for term in terms if term in python_encoding]
    are_all_known = len(known) == len(terms)
    is_declared = any(term not in _DEFAULT for term in known)
    return (list(convert_encodings(known)) if is_declared else []), are_all_known


def decode_text(value: bytes, encodings: Sequence[str], delimiters: set[int]) -> str:
    """The text of `value`; without a declared set UTF-8 where it is that, else Latin-1. See UNKNOWN.

    `delimiters` end a code extension (PS3.5 6.1.2.5.3). An escape sequence that nothing declares is UNKNOWN too.
    """
    if not encodings:
        try:
            text = value.decode("utf-8")
        except UnicodeDecodeError:
            text = value.decode("iso8859")
    else:
        text = decode_bytes(value, list(encodings), delimiters)
    if "iso_ir_58" in encodings:
        text = text.replace(_GB_2312, "")
    return text.replace("\x1b", UNKNOWN)
