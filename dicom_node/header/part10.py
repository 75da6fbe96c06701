"""The DICOM file format around a data set (PS3.10 7.1): written in front of what arrives, split off what is read."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID

from core.errors import InvalidStudy
from dicom_node.header.elements import Buffer, Encoding, top_level_elements

IMPLEMENTATION_CLASS_UID = UID("2.25.191662023454419366368786146563532588684")
"""As derived in `encode.uids`, which is not imported here: that package loads highdicom, a second of start-up."""

IMPLEMENTATION_VERSION_NAME = "CANDOR"
MANUFACTURER = "Candor"
"""Manufacturer and ManufacturerModelName of every result; by it an installation knows the results of another one."""

PREAMBLE = b"\0" * 128 + b"DICM"
_GROUP_LENGTH_BYTES = 12
_TRANSFER_SYNTAX_UID = 0x00020010


@dataclass(frozen=True, slots=True)
class FileLayout:
    """What the file meta information says, and where the data set starts."""

    transfer_syntax_uid: str
    data_set_start: int


def file_header(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble and file meta information for a data set received in `transfer_syntax_uid`.

    The same three UIDs give the same bytes, always: a second sending is recognised by the hash of the file.
    """
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    stream = DicomBytesIO()
    write_file_meta_info(stream, meta, enforce_standard=True)
    return PREAMBLE + bytes(stream.getvalue())


def layout_of(part10: Buffer) -> FileLayout:
    """Read preamble and group 2; raises InvalidStudy when this is not a DICOM file."""
    if part10[128:132] != b"DICM":
        raise InvalidStudy("this is not a DICOM file: the letters DICM are missing at byte 128")
    if part10[132:140] != b"\x02\x00\x00\x00UL\x04\x00":
        raise InvalidStudy("FileMetaInformationGroupLength is missing")
    try:
        (length,) = struct.unpack_from("<L", part10, 140)
    except struct.error:
        raise InvalidStudy("the file ends inside its file meta information") from None
    start = 132 + _GROUP_LENGTH_BYTES
    end = start + length
    if end > len(part10):
        raise InvalidStudy("the file ends inside its file meta information")
    meta = part10[start:end]
    for element in top_level_elements(meta, Encoding(explicit=True, little=True)):
        if element.tag == _TRANSFER_SYNTAX_UID:
            value = meta[element.start : element.start + element.length]
            return FileLayout(value.rstrip(b"\0 ").decode("ascii", "replace"), end)
    raise InvalidStudy("TransferSyntaxUID is missing in the file meta information")
