"""Typed access to element values, parsed from their raw text; what does not parse is None and a flag."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, TypeVar

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from dicom_node.header.character_sets import UNKNOWN, decode_text, encodings_of

_AGE_PART = r"(\d{1,4}(?:\.\d+)?)\s*(D|DAYS?|W|WKS?|WEEKS?|M|MOS?|MTHS?|MONTHS?|Y|YRS?|YEARS?)"
_AGE = re.compile(rf"P?(?:{_AGE_PART}[\s,.]*)+(?:OLD)?")  # PS3.5 6.2, AS, and what else can only be an age
_OLDEST_YEARS = 150.0
_YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}
_TIME = re.compile(r"(\d{2})(\d{2})?(\d{2})?(?:\.\d{1,6})?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WITH_CHARACTER_SET = frozenset({"PN", "LO", "SH", "ST", "LT", "UC", "UT"})  # PS3.5 6.1.2.3
_TEXT_DELIMITERS = {0x5C, 0x5E, 0x3D}  # backslash, caret, equals: end a code extension (PS3.5 6.1.2.5.3)
_LONGEST = {"PN": 324, "ST": 1024, "LT": 10240, "UC": 10240, "UT": 10240}  # characters (PS3.5 6.2); UC, UT: ours
_LONGEST_OTHER = 64  # of LO; senders exceed the 16 of SH and CS without harm, and everything of ours holds 64
_MOST_VALUES = 100
_PADDING = "\0" + string.whitespace
_LONGEST_BYTES = 64 * 1024  # of one element; what is longer is not even decoded
_GREATEST_INTEGER = 2**31 - 1  # PS3.5 6.2, IS
_BINARY = {"US": (2, False), "SS": (2, True), "UL": (4, False), "SL": (4, True)}


T = TypeVar("T")


class Values:
    """The values of one data set, and the flags that reading them gave."""

    def __init__(self, header: Dataset) -> None:
        self._header = header
        self.flags: list[str] = []
        self._encodings = self._read_encodings()

    def flag(self, keyword: str, vr: str) -> None:
        """Remember that an element is malformed, once, without its value."""
        self.note(f"{keyword} is not a valid {vr}")

    def texts(self, keyword: str) -> tuple[str, ...]:
        """The values of a text element, stripped of padding and cut to what can be stored; () when absent.

        A UID is never cut or repaired: it is right as it came, or its object is refused.
        """
        text = self._text(keyword)
        if not text:
            return ()
        vr, values = dictionary_VR(tag_for_keyword(keyword) or 0), text.split("\\")
        if vr == "UI":
            return tuple(value.strip(" ") for value in values)
        if len(values) > _MOST_VALUES:
            self.flag(keyword, vr)
        return tuple(self._storable(keyword, vr, value.strip(_PADDING)) for value in values[:_MOST_VALUES])

    def text(self, keyword: str) -> str:
        """The first value of a text element; "" when absent."""
        values = self.texts(keyword)
        return values[0] if values else ""

    def number(self, keyword: str) -> float | None:
        """The first value of a DS or IS."""
        return self._parsed(keyword, "DS", _to_number)

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """All values of a DS; () when absent or when one of them is malformed."""
        texts = self.texts(keyword)
        numbers = [number for text in texts if (number := _to_number(text)) is not None]
        if len(numbers) < len(texts):
            self.flag(keyword, "DS")
            return ()
        return tuple(numbers)

    def each_number(self, keyword: str) -> tuple[float | None, ...]:
        """All values of a DS, None in the place of each that is malformed; () when absent."""
        numbers = tuple(_to_number(text) for text in self.texts(keyword))
        if None in numbers:
            self.flag(keyword, "DS")
        return numbers

    def integer(self, keyword: str) -> int | None:
        """The first value of an IS, US, SS, UL or SL."""
        return self._parsed(keyword, "IS", _to_integer)

    def integers(self, keyword: str) -> tuple[int, ...]:
        """All values of an IS, also many; () when absent or when one of them is malformed."""
        texts = [text.strip(_PADDING) for text in self._text(keyword).split("\\")]
        numbers = [number for text in texts if (number := _to_integer(text)) is not None]
        return tuple(numbers) if len(numbers) == len(texts) else ()

    def day(self, keyword: str) -> date | None:
        """A DA, also in the form with dots of ACR-NEMA (PS3.5 6.2, note 2)."""
        return self._parsed(keyword, "DA", lambda text: _to_date(text.replace(".", "")))

    def moment(self, keyword: str) -> datetime | None:
        """A DT to the second, without its offset."""
        return self._parsed(keyword, "DT", lambda text: _to_datetime(text[:8], re.split(r"[+-]", text[8:])[0]))

    def date_and_time(self, *prefixes: str) -> datetime | None:
        """The first of `<prefix>Date` + `<prefix>Time` that has both."""
        for prefix in prefixes:
            day, time = self.day(f"{prefix}Date"), self.text(f"{prefix}Time")
            if day and time and (moment := _to_datetime(f"{day:%Y%m%d}", time.replace(":", ""))):
                return moment
        return None

    def age_years(self, keyword: str) -> float | None:
        """An AS in years, in any writing that can only be meant so."""
        return self._parsed(keyword, "AS", _to_years)

    def _parsed(self, keyword: str, vr: str, parse: Callable[[str], T | None]) -> T | None:
        text = self.text(keyword)
        if not text:
            return None
        value = parse(text)
        if value is None:
            self.flag(keyword, vr)
        return value

    def _storable(self, keyword: str, vr: str, value: str) -> str:
        """`value` up to a NUL, as C reads it, and not longer than any sender may expect to be kept."""
        storable = value.split("\0", 1)[0][: _LONGEST.get(vr, _LONGEST_OTHER)].rstrip()
        if storable != value:
            self.flag(keyword, vr)
        return storable

    def note(self, flag: str) -> None:
        """Remember what is to be said of this header, once; never with a value of it."""
        if flag not in self.flags:
            self.flags.append(flag)

    def _text(self, keyword: str) -> str:
        tag = tag_for_keyword(keyword)
        if tag is None or tag not in self._header:
            return ""
        item = self._header.get_item(tag)
        if isinstance(item, DataElement):
            return _as_text(item.value)
        return self._decode(keyword, item)

    def _decode(self, keyword: str, item: RawDataElement) -> str:
        """The text of a raw element: what was on the wire, whatever VR it claims."""
        vr, value = self._vr(item), item.value or b""
        if vr in _BINARY:
            return self._binary(keyword, vr, value, item.is_little_endian)
        if len(value) > _LONGEST_BYTES:
            self.flag(keyword, vr)
        encodings = self._encodings if vr in _WITH_CHARACTER_SET else ["iso8859"]
        text = decode_text(value[:_LONGEST_BYTES], encodings, _TEXT_DELIMITERS)
        if UNKNOWN in text:
            self.note(f"{keyword} does not fit its SpecificCharacterSet")
        return text.rstrip("\0 ")

    def _vr(self, item: RawDataElement) -> str:
        """The VR to read an element by: the dictionary's; "US or SS" depends on the pixels (PS3.5 A.1)."""
        vr = dictionary_VR(item.tag)
        if "US or SS" not in vr:
            return vr
        return "SS" if self.integer("PixelRepresentation") == 1 else "US"

    def _binary(self, keyword: str, vr: str, value: bytes, little: bool) -> str:
        width, signed = _BINARY[vr]
        if len(value) < width:
            if value:
                self.flag(keyword, vr)
            return ""
        return str(int.from_bytes(value[:width], "little" if little else "big", signed=signed))

    def _read_encodings(self) -> list[str]:
        """Python's names for SpecificCharacterSet; unknown ones are flagged."""
        self._encodings = ["iso8859"]
        terms = [term.strip() for term in self._text("SpecificCharacterSet").split("\\")]
        encodings, are_all_known = encodings_of(terms)
        if not are_all_known:
            self.note("SpecificCharacterSet names a character set that is not known")
        return encodings


def whole_years(birth: date | None, at: date | None) -> float | None:
    """Completed years between two dates; None when either is missing or they are in the wrong order."""
    if birth is None or at is None or at < birth:
        return None
    return float(at.year - birth.year - ((at.month, at.day) < (birth.month, birth.day)))


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple) or (hasattr(value, "__iter__") and hasattr(value, "append")):
        return "\\".join(str(part) for part in value)
    return str(value)


def _to_number(text: str) -> float | None:
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if math.isfinite(number) else None


def _to_integer(text: str) -> int | None:
    number = int(text) if re.fullmatch(r"[+-]?\d{1,12}", text) else None
    return number if number is not None and abs(number) <= _GREATEST_INTEGER else None


def _to_years(text: str) -> float | None:
    """Years of "007Y", "7Y", "18 months", "1Y6M": what has a unit. A number alone may be years or months."""
    written = text.upper()
    if not _AGE.fullmatch(written):
        return None
    years = sum(float(number) * _YEARS[unit[0]] for number, unit in re.findall(_AGE_PART, written))
    return years if years <= _OLDEST_YEARS else None


def _to_date(text: str) -> date | None:
    if not re.fullmatch(r"\d{8}", text):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def _to_datetime(day: str, time: str) -> datetime | None:
    parsed, match = _to_date(day), _TIME.fullmatch(time)
    if parsed is None or match is None:
        return None
    try:
        hour, minute, second = (int(part or 0) for part in match.groups())
        return datetime(parsed.year, parsed.month, parsed.day, hour, minute, second)
    except ValueError:
        return None
