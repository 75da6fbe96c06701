"""Segmentations of the region that influenced the model: BINARY of the mask, FRACTIONAL of the whole map.

highdicom packs the bits and builds the functional groups; our shell goes over its result, because highdicom takes
times and the dimension UID from clock and chance, and leaves Patient Orientation out. A radiograph has no frame
of reference, so its segmentation is in one of its own, the plane of its pixels (dicom_node.encode.space).
"""

from __future__ import annotations

import highdicom as hd
import numpy as np
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SegmentationStorage

from core.domain.report import Finding, ObjectKind, Reading, Report, ResultObject
from dicom_node.encode import concepts
from dicom_node.encode.shell import (
    REGION_WORDS,
    SOFTWARE_VERSION,
    copy_body_part,
    copy_orientation,
    new_picture,
    to_picture,
)
from dicom_node.encode.source import without_identity
from dicom_node.encode.sources import Located, Subject, tracking_identifier
from dicom_node.encode.space import in_its_own_plane
from dicom_node.encode.uids import dimension_uid, instance_uid, series_uid, tracking_uid
from dicom_node.encode.writing import fix_dimension
from dicom_node.sop_classes import PARAMETRIC_MAP_SOURCES

_SPATIAL_CONCEPT = hd.sr.CodedConcept("309825002", "SCT", "Spatial and Relational Concept")
_COLOUR = hd.color.CIELabColor.from_rgb(230, 159, 0)  # Okabe-Ito orange: distinct for colour-blind readers


def can_be_segmented(source: Dataset) -> bool:
    """Whether a segmentation can be placed: a CT or MR must say where it is, a radiograph need not."""
    return "FrameOfReferenceUID" in source or source.get("SOPClassUID") not in PARAMETRIC_MAP_SOURCES


def encode_seg(subject: Subject, kind: ObjectKind) -> ResultObject:
    """Write the region of one finding as a Segmentation with one segment, of a frame a slice.

    `kind` SEG: the boolean mask; SEG_FRACTIONAL: the values 0..1 in 255 steps. The sources must have the maps' rows
    and columns.
    """
    finding, source = subject.finding, subject.source
    shell = new_picture(subject, kind, SegmentationStorage)
    segmentation = _segmentation(subject, kind)
    segmentation.update(shell)  # its Contributing Equipment too: the algorithm alone, highdicom's carries the time
    segmentation.CodingSchemeIdentificationSequence = concepts.coding_schemes()
    segmentation.SegmentSequence[0].SegmentDescription = f"{REGION_WORDS.capitalize()}: {finding.code.meaning}"
    copy_body_part(source, segmentation)
    if "FrameOfReferenceUID" not in source:
        copy_orientation(source, segmentation)
    fix_dimension(segmentation, dimension_uid(subject.report, kind, subject.reading, finding.name))
    return to_picture(subject, kind, segmentation)


def _segmentation(subject: Subject, kind: ObjectKind) -> Segmentation:
    report, reading, finding = subject.report, subject.reading, subject.finding
    return Segmentation(
        source_images=[in_its_own_plane(without_identity(located.source)) for located in subject.in_order],
        pixel_array=_pixels(subject.in_order, kind),
        segmentation_type="FRACTIONAL" if kind is ObjectKind.SEG_FRACTIONAL else "BINARY",
        segment_descriptions=[_segment(report, reading, finding)],
        series_instance_uid=series_uid(report, kind),
        series_number=1,
        sop_instance_uid=instance_uid(report, kind, reading, finding.name),
        instance_number=1,
        manufacturer=reading.model.manufacturer[:64],
        manufacturer_model_name=reading.model.name[:64],
        software_versions=SOFTWARE_VERSION,
        device_serial_number=SOFTWARE_VERSION,
        content_label="SALIENCY" if kind is ObjectKind.SEG_FRACTIONAL else "REGION",
        content_description=f"{REGION_WORDS}: {finding.name}"[:64],
        omit_empty_frames=False,
    )


def _pixels(slices: tuple[Located, ...], kind: ObjectKind) -> NDArray[np.float32] | NDArray[np.bool_]:
    """The frames, shape (slices, rows, columns)."""
    if kind is ObjectKind.SEG_FRACTIONAL:
        return np.clip(np.stack([located.saliency.values for located in slices]), 0.0, 1.0)
    return np.stack([located.saliency.mask for located in slices])


def _segment(report: Report, reading: Reading, finding: Finding) -> SegmentDescription:
    return SegmentDescription(
        segment_number=1,
        segment_label=f"{finding.code.meaning}"[:64],
        segmented_property_category=_SPATIAL_CONCEPT,
        segmented_property_type=concepts.REGION_OF_INFLUENCE,
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=reading.model.name[:64],
            version=reading.model.version[:64],
            family=concepts.ARTIFICIAL_INTELLIGENCE,
        ),
        tracking_uid=tracking_uid(report, reading, finding.name),
        tracking_id=tracking_identifier(report, reading, finding),
        display_color=_COLOUR,
    )
