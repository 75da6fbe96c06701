"""Parametric Map of a saliency: the values themselves as 32-bit floats, where the image lies in a Frame of Reference.

For research viewers that read numbers off a map. It must share the source's Frame of Reference (PS3.3 A.75), so a
radiograph gets none: the pipeline says so in results.json and in the log (dicom_node.sop_classes says why).
"""

from __future__ import annotations

import highdicom as hd
import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.dataset import Dataset
from pydicom.uid import ParametricMapStorage

from core.domain.explanation import Saliency
from core.domain.model import ModelVersion
from core.domain.report import Finding, ObjectKind, Report, ResultObject
from dicom_node.encode import concepts
from dicom_node.encode.shell import (
    REGION_WORDS,
    SOFTWARE_VERSION,
    copy_body_part,
    copy_laterality,
    new_object,
    to_result,
)
from dicom_node.encode.source import without_identity
from dicom_node.encode.uids import dimension_uid, instance_uid, series_uid
from dicom_node.encode.writing import fix_dimension
from dicom_node.sop_classes import why_no_parametric_map


def lies_in_a_frame_of_reference(source: Dataset) -> bool:
    """Whether the source is of a kind that a Parametric Map can be made for, and says where it lies."""
    return not why_no_parametric_map(source.get("SOPClassUID", "")) and "FrameOfReferenceUID" in source


def encode_pmap(
    report: Report, model: ModelVersion, finding: Finding, saliency: Saliency, source: Dataset
) -> ResultObject:
    """Write the map of one finding, 0..1, as a Parametric Map with one frame; `source` must have its geometry."""
    number = report.findings.index(finding) + 1
    shell = new_object(report, source, ObjectKind.PMAP, ParametricMapStorage, number)
    parametric_map = _parametric_map(report, model, finding, saliency, source)
    parametric_map.update(shell)
    parametric_map.CodingSchemeIdentificationSequence = concepts.coding_schemes()
    copy_body_part(source, parametric_map)
    copy_laterality(source, parametric_map)
    fix_dimension(parametric_map, dimension_uid(report, ObjectKind.PMAP, finding.name))
    return to_result(report, ObjectKind.PMAP, parametric_map, finding)


def _parametric_map(
    report: Report, model: ModelVersion, finding: Finding, saliency: Saliency, source: Dataset
) -> ParametricMap:
    return ParametricMap(
        source_images=[without_identity(source)],
        pixel_array=np.clip(saliency.values, 0.0, 1.0).astype(np.float32)[np.newaxis],
        series_instance_uid=series_uid(report, ObjectKind.PMAP),
        series_number=1,
        sop_instance_uid=instance_uid(report, ObjectKind.PMAP, finding.name),
        instance_number=1,
        manufacturer=model.manufacturer[:64],
        manufacturer_model_name=model.name[:64],
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
