"""From data set to bytes: an explicit VR little endian Part 10 file, quickly.

A structured report names the same few dozen codes hundreds of times, and pydicom would walk the whole tree again at
each level to look for ambiguous VRs. So each code is encoded once and put in as bytes, and every item is marked as
being in its final encoding: the same bytes in a quarter of the time. What is the same in every report of a model
version, the figures of its operating points, is built and encoded once.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRLittleEndian

from dicom_node.header.part10 import file_header

_CODE_TAGS = {Tag(name) for name in ("ConceptNameCodeSequence", "ConceptCodeSequence", "MeasurementUnitsCodeSequence")}
_CONTENT = Tag("ContentSequence")
_ITEM_TAG = b"\xfe\xff\x00\xe0"
_CHARACTER_SET = Tag("SpecificCharacterSet")
_CHARACTER_SET_HEAD = b"\x08\x00\x05\x00CS"


def to_part10(content: Dataset, character_set: bytes) -> bytes:
    """Write `content`, which must hold its SOP class and instance UID, as a Part 10 file (PS3.10 7).

    Elements that are bytes already stay as they are. `character_set` is the value of Specific Character Set that they
    are in, empty for none; pydicom never sees it, or it would decode and encode them again.
    """
    content.pop(_CHARACTER_SET, None)
    if content.original_encoding != (False, True):
        correct_ambiguous_vr(content, is_little_endian=True)
    content.set_original_encoding(False, True, content._character_set)
    header = file_header(str(content.SOPClassUID), str(content.SOPInstanceUID), ExplicitVRLittleEndian)
    declared = _CHARACTER_SET_HEAD + len(character_set).to_bytes(2, "little") + character_set if character_set else b""
    return header + declared + _encoded(content)  # no element of a result comes before the character set


def fix_dimension(multi_frame: Dataset, uid: str) -> None:
    """Replace the random Dimension Organization UID of a multi-frame object by a derived one (PS3.3 C.7.6.17)."""
    multi_frame.DimensionOrganizationSequence[0].DimensionOrganizationUID = uid
    for item in multi_frame.DimensionIndexSequence:
        item.DimensionOrganizationUID = uid


def settle(item: Dataset) -> None:
    """Put the codes below `item` in as bytes and mark every item as final; read nothing from `item` afterwards."""
    for element in list(item.elements()):
        if isinstance(element, RawDataElement):  # bytes already
            continue
        if element.tag in _CODE_TAGS:
            parts = item[element.tag].value[0].elements()
            _put(item, element.tag, _encoded_code(tuple((int(part.tag), str(part.value)) for part in parts)))
        elif element.VR == "SQ":
            for child in item[element.tag].value:
                settle(child)
    # pydicom compares this with the character set it will write in; it has no public name for the latter
    item.set_original_encoding(False, True, item._character_set)


def encoded_items(items: Iterable[Dataset]) -> bytes:
    """Content items as the value of a ContentSequence, to stand in many documents (see `put_children`)."""
    children = list(items)
    for child in children:
        settle(child)
    return b"".join(_encoded_item(child) for child in children)


def put_children(item: Dataset, encoded: bytes) -> None:
    """Give a content item its children as bytes."""
    _put(item, _CONTENT, encoded)


def _put(item: Dataset, tag: BaseTag, encoded: bytes) -> None:
    item[tag] = RawDataElement(tag, "SQ", len(encoded), encoded, 0, False, True)


@lru_cache(maxsize=1024)
def _encoded_code(parts: tuple[tuple[int, str], ...]) -> bytes:
    """A code as a sequence item."""
    code = Dataset()
    for tag, value in parts:
        code.add_new(tag, dictionary_VR(tag), value)
    return _encoded_item(code)


def _encoded_item(item: Dataset) -> bytes:
    """One sequence item in explicit VR little endian and UTF-8, with its item tag and length (PS3.5 7.5)."""
    body = _encoded(item)
    return _ITEM_TAG + len(body).to_bytes(4, "little") + body


def _encoded(item: Dataset) -> bytes:
    """A data set in explicit VR little endian and UTF-8."""
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_dataset(buffer, item, "utf8")
    return bytes(buffer.getvalue())
