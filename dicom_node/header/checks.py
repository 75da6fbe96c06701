"""What must hold before an object is kept; what does not hold is refused with a status and the element's name.

What is refused follows PS3.4 B.2.3: the data set does not match what was announced, or it cannot be understood.
Nothing is decoded: a hostile object costs one walk over its header.
"""

from __future__ import annotations

from pydicom.dataset import Dataset

from core.errors import InvalidStudy, Refusal
from dicom_node.header.elements import PIXEL_DATA, Buffer, Encoding, top_level_elements
from dicom_node.header.values import Values
from dicom_node.sop_classes import TRANSFER_SYNTAXES, is_uid

MAXIMUM_DECODED_BYTES = 4 * 1024**3
"""What one instance may unpack to; native pixel data cannot be longer (PS3.5 A.4, 32-bit length)."""


def check_structure(data: Buffer, transfer_syntax_uid: str, *, start: int = 0) -> int:
    """Walk the data set that begins at `start` and return where its pixel data begin (or where it ends).

    Raises InvalidStudy for a truncated header, a length that does not fit, or endless nesting.
    """
    if transfer_syntax_uid not in TRANSFER_SYNTAXES:
        raise InvalidStudy("TransferSyntaxUID names a transfer syntax that is not supported")
    encoding = Encoding.of(transfer_syntax_uid)
    for element in top_level_elements(data, encoding, start=start):
        if element.tag in PIXEL_DATA:
            return element.start - (12 if encoding.explicit else 8)
    return len(data)


def check_header(header: Dataset, *, sop_class_uid: str = "", sop_instance_uid: str = "") -> None:
    """Check identity and pixel description; the UIDs given are those of the C-STORE command.

    Raises InvalidStudy with the refusal to answer.
    """
    values = Values(header)
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        _check_uid(values, keyword)
    _check_same(values, "SOPClassUID", sop_class_uid)
    _check_same(values, "SOPInstanceUID", sop_instance_uid)
    _check_bits(values)
    _check_extent(values)


def _check_uid(values: Values, keyword: str) -> None:
    uids = values.texts(keyword)
    if not any(uids):
        raise InvalidStudy(f"{keyword} is missing", refusal=Refusal.DOES_NOT_MATCH)
    if len(uids) > 1 or not is_uid(uids[0]):
        raise InvalidStudy(f"{keyword} is not a valid UID", refusal=Refusal.DOES_NOT_MATCH)


def _check_same(values: Values, keyword: str, announced: str) -> None:
    if announced and values.text(keyword) != announced:
        raise InvalidStudy(f"{keyword} differs between command and data set", refusal=Refusal.DOES_NOT_MATCH)


def _check_bits(values: Values) -> None:
    allocated, stored, high = (values.integer(k) for k in ("BitsAllocated", "BitsStored", "HighBit"))
    if allocated is not None and not (allocated == 1 or (allocated % 8 == 0 and 8 <= allocated <= 64)):
        raise InvalidStudy("BitsAllocated is impossible")
    if allocated is not None and stored is not None and not 1 <= stored <= allocated:
        raise InvalidStudy("BitsStored does not fit in BitsAllocated")
    if allocated is not None and high is not None and not 0 <= high < allocated:
        raise InvalidStudy("HighBit does not fit in BitsAllocated")


def _check_extent(values: Values) -> None:
    """Refuse what no decoder should ever be asked to allocate."""
    frames = values.integer("NumberOfFrames")
    if frames is not None and frames < 0:
        raise InvalidStudy("NumberOfFrames is negative")
    factors = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
    rows, columns, samples, bits = (values.integer(k) or 1 for k in factors)
    if rows * columns * (frames or 1) * samples * max(1, bits // 8) > MAXIMUM_DECODED_BYTES:
        raise InvalidStudy("Rows x Columns x NumberOfFrames is larger than any image")
