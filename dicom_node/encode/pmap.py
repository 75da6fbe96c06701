"""Parametric Map of a saliency: the values themselves as 32-bit floats, where the image has a Frame of Reference.

For research viewers that read numbers off a map. It must share the source's Frame of Reference (PS3.3 A.75), so a
radiograph gets none: the pipeline says so in results.json and in the log (dicom_node.sop_classes says why).
"""

from __future__ import annotations

import highdicom as hd
import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.dataset import Dataset
from pydicom.uid import ParametricMapStorage

from core.domain.report import Finding, ObjectKind, ResultObject
from dicom_node.encode import concepts
from dicom_node.encode.shell import (
    REGION_WORDS,
    SOFTWARE_VERSION,
    copy_body_part,
    copy_laterality,
    new_picture,
    to_picture,
)
from dicom_node.encode.source import without_identity
from dicom_node.encode.sources import Subject
from dicom_node.encode.uids import dimension_uid, instance_uid, series_uid
from dicom_node.encode.writing import fix_dimension
from dicom_node.sop_classes import why_no_parametric_map


def has_frame_of_reference(source: Dataset) -> bool:
    """Whether the source is of a kind that a Parametric Map can be made for, and says where it is."""
    return not why_no_parametric_map(source.get("SOPClassUID", "")) and "FrameOfReferenceUID" in source


def encode_pmap(subject: Subject) -> ResultObject:
    """Write the map of one finding, 0..1, as a Parametric Map of a frame a slice; the sources must have geometry."""
    source = subject.source
    shell = new_picture(subject, ObjectKind.PMAP, ParametricMapStorage)
    parametric_map = _parametric_map(subject)
    parametric_map.update(shell)
    parametric_map.CodingSchemeIdentificationSequence = concepts.coding_schemes()
    copy_body_part(source, parametric_map)
    copy_laterality(source, parametric_map)
    uid = dimension_uid(subject.report, ObjectKind.PMAP, subject.reading, subject.finding.name)
    fix_dimension(parametric_map, uid)
    return to_picture(subject, ObjectKind.PMAP, parametric_map)


def _parametric_map(subject: Subject) -> ParametricMap:
    report, reading, finding = subject.report, subject.reading, subject.finding
    values = np.stack([located.saliency.values for located in subject.in_order])
    return ParametricMap(
        source_images=[without_identity(located.source) for located in subject.in_order],
        pixel_array=np.clip(values, 0.0, 1.0).astype(np.float32),
        series_instance_uid=series_uid(report, ObjectKind.PMAP),
        series_number=1,
        sop_instance_uid=instance_uid(report, ObjectKind.PMAP, reading, finding.name),
        instance_number=1,
        manufacturer=reading.model.manufacturer[:64],
        manufacturer_model_name=reading.model.name[:64],
        software_versions=SOFTWARE_VERSION,
        device_serial_number=SOFTWARE_VERSION,
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(finding)],
        voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
        content_label="SALIENCY",
        content_description=f"{REGION_WORDS}: {finding.name}"[:64],
        derived_pixel_contrast="NONE",  # "QUANTITY", highdicom's default, is not a value of PS3.3 C.8.32.2
    )


def _mapping(finding: Finding) -> RealWorldValueMapping:
    """Stored values are the values: influence without a unit, 0 none, 1 the strongest in this image."""
    return RealWorldValueMapping(
        lut_label=finding.name[:16],
        lut_explanation=REGION_WORDS.capitalize(),
        unit=concepts.NO_UNITS,
        value_range=(0.0, 1.0),
        slope=1.0,
        intercept=0.0,
        quantity_definition=concepts.REGION_OF_INFLUENCE,
    )
