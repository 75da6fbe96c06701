"""DICOM files on disk as the pipeline receives them: the same checks as at the socket, and the same nouns."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.errors import ConfigurationError, InvalidStudy
from dicom_node.header.checks import check_header, check_structure
from dicom_node.header.part10 import file_header, layout_of
from dicom_node.header.read import parse_header, read_header, to_instance
from dicom_node.header.values import Values
from dicom_node.intake import ReceivedObject, received_object
from dicom_node.sop_classes import STORAGE_SOP_CLASSES

_DIRECTORY = "DICOMDIR"  # PS3.10 8.6: the index of a medium, under exactly this name
_MAGIC_START, _MAGIC = 128, b"DICM"


def files_under(paths: Sequence[Path]) -> list[Path]:
    """Every file that is, or is below, one of `paths`, once; ConfigurationError for a path that is not there."""
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise ConfigurationError(f"{path} is not there; give DICOM files or folders of them")
        found.update(dict.fromkeys([path] if path.is_file() else _walk(path)))
    return [path for path in found if path.name != _DIRECTORY]


def is_dicom(path: Path) -> bool:
    """Whether the file has the mark of PS3.10 7.1; False also when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_MAGIC_START + len(_MAGIC))[_MAGIC_START:] == _MAGIC
    except OSError:
        return False


def study_of(path: Path) -> str:
    """The StudyInstanceUID of a file that holds together; raises InvalidStudy with the reason when it does not."""
    header = read_header(path)
    check_header(header)
    instance = to_instance(header)
    if instance.sop_class_uid not in STORAGE_SOP_CLASSES:
        raise InvalidStudy("its SOP class is not one that Candor stores")
    return instance.study_instance_uid


def receive_file(path: Path, *, association_id: str, calling_ae_title: str) -> ReceivedObject:
    """The file as if it had come over an association. Raises InvalidStudy as the socket would."""
    data = path.read_bytes()
    layout = layout_of(data)
    header_end = check_structure(data, layout.transfer_syntax_uid, start=layout.data_set_start)
    header = parse_header(data[:header_end])
    check_header(header)
    # our own file header, so that the same data set is recognised whatever wrote the file
    uids = Values(header)
    meta = file_header(uids.text("SOPClassUID"), uids.text("SOPInstanceUID"), layout.transfer_syntax_uid)
    part10 = b"".join((meta, memoryview(data)[layout.data_set_start :]))
    return received_object(header, part10, association_id=association_id, calling_ae_title=calling_ae_title)


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root) / name for name in sorted(names))
