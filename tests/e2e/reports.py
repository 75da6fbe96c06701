"""What arrived at the PACS, as the tests ask about it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from pydicom import Dataset, dcmread

from dicom_node.archive import Archive

SR = "1.2.840.10008.5.1.4.1.1.88.33"
SC = "1.2.840.10008.5.1.4.1.1.7"
GSPS = "1.2.840.10008.5.1.4.1.1.11.1"
SEG = "1.2.840.10008.5.1.4.1.1.66.4"


def arrived(archive: Archive) -> list[Dataset]:
    """Every object the archive filed, in order of arrival."""
    return [dcmread(filed.path) for filed in archive.filed]


def reports_by_study(archive: Archive) -> dict[str, list[Dataset]]:
    """The SRs of each study, in order of arrival."""
    found: dict[str, list[Dataset]] = defaultdict(list)
    for dataset in arrived(archive):
        if dataset.SOPClassUID == SR:
            found[str(dataset.StudyInstanceUID)].append(dataset)
    return found


def classes_of(datasets: list[Dataset], study_instance_uid: str) -> set[str]:
    """The SOP classes that a study's results came in."""
    return {str(d.SOPClassUID) for d in datasets if d.StudyInstanceUID == study_instance_uid}


def holds_text(folder: Path, text: bytes) -> list[str]:
    """Names of the files below `folder` in which `text` can be read."""
    return [path.name for path in folder.rglob("*") if path.is_file() and text in path.read_bytes()]
