"""The SOP classes and transfer syntaxes this node speaks, as data, each with its clause."""

from __future__ import annotations

import re

from pydicom import uid
from pydicom.uid import UID
from pynetdicom.presentation import AllStoragePresentationContexts

UID_PATTERN = re.compile(r"[0-9]+(?:\.[0-9]+)*")
"""Numbers joined by dots. PS3.5 9.1 forbids leading zeros, but modalities send them, and they are kept as they came."""

VERIFICATION = UID("1.2.840.10008.1.1")  # PS3.4 A
STORAGE_COMMITMENT = UID("1.2.840.10008.1.20.1")  # PS3.4 J.3
STORAGE_COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")

UNCOMPRESSED = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian)  # PS3.5 A.1-A.3
COMPRESSED = (
    uid.JPEGBaseline8Bit,  # PS3.5 A.4.1
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.RLELossless,  # A.4.2
    uid.JPEGLSLossless,  # A.4.3
    uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless,  # A.4.4
    uid.JPEG2000,
    uid.HTJ2KLossless,  # A.4.8
    uid.HTJ2KLosslessRPCL,
    uid.HTJ2K,
)
TRANSFER_SYNTAXES = frozenset(UNCOMPRESSED + COMPRESSED)  # Deflated is refused: a bomb of a few KB unpacks to GBs

_NOT_READ = ("Segmentation", "ParametricMap")  # pixel data made by software: results, not images to read
_FILED = ("SR", "Presentation", "KeyObject", "ReportStorage", "CADStorage", *_NOT_READ)


def _storage_classes() -> dict[UID, str]:
    uids = [UID(str(context.abstract_syntax)) for context in AllStoragePresentationContexts]
    return {sop_class: sop_class.keyword for sop_class in uids}


def is_uid(value: str) -> bool:
    """Whether `value` is a UID as PACS keep them: digits and dots, at most 64 characters."""
    return len(value) <= 64 and UID_PATTERN.fullmatch(value) is not None


IMAGE_SOP_CLASSES = frozenset(
    sop_class
    for sop_class, keyword in _storage_classes().items()
    if ("Image" in keyword or "USVolume" in keyword) and not any(word in keyword for word in _NOT_READ)
)
"""Storage classes whose instances carry an image that somebody acquired (PS3.4 B.5)."""

FILED_SOP_CLASSES = frozenset(
    sop_class
    for sop_class, keyword in _storage_classes().items()
    if sop_class not in IMAGE_SOP_CLASSES and any(word in keyword for word in _FILED)
)
"""SR, presentation states, key objects, SEG and PMAP: accepted and filed, so that forwarded results find a home."""

STORAGE_SOP_CLASSES = IMAGE_SOP_CLASSES | FILED_SOP_CLASSES

PARAMETRIC_MAP_SOURCES = frozenset(
    {uid.CTImageStorage, uid.MRImageStorage, uid.EnhancedCTImageStorage, uid.EnhancedMRImageStorage}
)
"""Images that have a Frame of Reference, which a Parametric Map must share (PS3.3 A.75); a radiograph has none."""


def why_no_parametric_map(sop_class_uid: str, number_of_frames: int = 1) -> str:
    """The reason why an image of this class gets no Parametric Map; empty when it gets one."""
    if sop_class_uid not in PARAMETRIC_MAP_SOURCES:
        return "the image has no Frame of Reference, as radiographs have none; it is made for CT and MR"
    return "the image has several frames, and the map is of one" if number_of_frames > 1 else ""


RESULT_SOP_CLASSES = (
    uid.SegmentationStorage,
    uid.ParametricMapStorage,
    uid.GrayscaleSoftcopyPresentationStateStorage,
    uid.SecondaryCaptureImageStorage,
    uid.KeyObjectSelectionDocumentStorage,
    uid.ComprehensiveSRStorage,
)
"""What our own results are: each is proposed, because default contexts of an SCU leave some of them out."""
