"""What a second object with a known SOP Instance UID corrects: the same picture under another header, or not.

A PACS sends an image again after a patient merge, a name correction or a corrected order: same UIDs, same pixels,
other demographics (IHE RAD TF-1, Patient Information Reconciliation). Nothing is decoded here, so pixels that were
compressed another time count as another picture, and a person decides.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from core.errors import InvalidStudy
from core.identity import Correction
from dicom_node.header.elements import PIXEL_DATA, UNDEFINED, Element, Encoding, top_level_elements
from dicom_node.header.part10 import FileLayout, layout_of
from dicom_node.header.read import read_header
from dicom_node.header.values import Values

_SAME_UIDS = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")
_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
_OF_REPORTS = (
    "PatientAge",
    "EthnicGroup",
    "PatientIdentityRemoved",
    "AccessionNumber",
    "StudyDate",
    "StudyID",
    "Modality",
    "ImageType",
    "PresentationIntentType",
    "BodyPartExamined",
    "AnatomicRegionSequence",
    "ViewPosition",
    "ViewCodeSequence",
    "Laterality",
    "ImageLaterality",
    "PatientOrientation",
    "SeriesDescription",
    "ProtocolName",
    "AcquisitionDeviceProcessingDescription",
)
"""What selection, cohorts and results are made of; a PACS rewrites much else on its way through, and means nothing."""

_IMAGE_GROUP = 0x0028
_SHUTTERS = range(0x00181600, 0x00181624)  # PS3.3 C.7.6.11, C.7.6.15
_OVERLAYS = range(0x6000, 0x6020, 2)  # what a bitmap shutter is made of
_ITEM = b"\xfe\xff\x00\xe0"
_NAME_PADDING = "^= "  # PS3.5 6.2.1.1: empty components at the end may be left out


def correction_of(before: bytes, after: bytes) -> Correction | None:
    """What the second of two Part 10 files corrects in the first; None where they are not one picture."""
    try:
        first, second = _Picture(before), _Picture(after)
        if not first.is_shown_as(second) or first.pixels() != second.pixels():
            return None
    except InvalidStudy:
        return None
    keywords = tuple(k for k in (*_PATIENT, *_OF_REPORTS) if _said(first.header, k) != _said(second.header, k))
    return Correction(keywords=keywords, names_patient=bool(set(keywords) & set(_PATIENT)))


class _Picture:
    """The parts of a file that decide what is seen."""

    def __init__(self, part10: bytes) -> None:
        self.header = read_header(part10)
        self._part10 = part10
        self._layout: FileLayout = layout_of(part10)
        self._encoding = Encoding.of(self._layout.transfer_syntax_uid)

    def is_shown_as(self, other: _Picture) -> bool:
        """Whether both are one object with one description of its pixels and of how they are shown."""
        uids = all(Values(self.header).text(k) == Values(other.header).text(k) for k in _SAME_UIDS)
        return uids and self._display() == other._display()

    def pixels(self) -> tuple[str, bytes]:
        """The pixels as they are encoded: native ones in little endian, fragments without their offset table."""
        found = top_level_elements(self._part10, self._encoding, start=self._layout.data_set_start)
        element = next((e for e in found if e.tag in PIXEL_DATA), None)
        if element is None:
            return ("none", b"")
        if element.length == UNDEFINED:
            return (self._layout.transfer_syntax_uid, b"".join(self._fragments(element)))
        native = self._part10[element.start : element.start + element.length]
        if not self._encoding.little and (Values(self.header).integer("BitsAllocated") or 0) > 8:
            native = _swapped(native)
        return ("native", native)

    def _fragments(self, element: Element) -> Iterator[bytes]:
        """The items after the first one, which is the offset table (PS3.5 A.4)."""
        at, is_offset_table = element.start, True
        while self._part10[at : at + 4] == _ITEM:
            end = at + 8 + int.from_bytes(self._part10[at + 4 : at + 8], "little")
            if not is_offset_table:
                yield self._part10[at + 8 : end]
            at, is_offset_table = end, False

    def _display(self) -> dict[int, str]:
        """The elements of the image group and the shutters, by tag, each as its value or, if malformed, its bytes."""
        groups = {_IMAGE_GROUP} | (set(_OVERLAYS) if "BITMAP" in Values(self.header).texts("ShutterShape") else set())
        tags = [tag for tag in sorted(self.header.keys()) if tag.group in groups or tag in _SHUTTERS]
        return {int(tag): _value(self.header, tag) for tag in tags}


def _value(header: Dataset, tag: BaseTag) -> str:
    try:
        return str(header[tag].value)
    except Exception:  # noqa: BLE001 boundary: hostile bytes may break pydicom's converters in any way
        return repr(header.get_item(tag))


def _swapped(native: bytes) -> bytes:
    """Words of 16 bits in the other byte order."""
    words = bytearray(native)
    words[0::2], words[1::2] = native[1::2], native[0::2]
    return bytes(words)


def _said(header: Dataset, keyword: str) -> object:
    """What an element says, however it is encoded and padded."""
    if dictionary_VR(tag_for_keyword(keyword) or 0) == "SQ":
        return _value(header, Tag(keyword)) if keyword in header else ""
    values = Values(header).texts(keyword)
    return tuple(value.rstrip(_NAME_PADDING) for value in values) if keyword == "PatientName" else values
