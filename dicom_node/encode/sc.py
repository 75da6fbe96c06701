"""RGB Secondary Capture of one finding: the overlay as a DICOM image that any viewer shows (PS3.3 A.8.1)."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from core.domain.explanation import Saliency
from core.domain.report import Finding, ObjectKind, Report, ResultObject
from core.domain.study import Image
from core.errors import Unsupported
from dicom_node.encode.overlay import draw_overlay
from dicom_node.encode.shell import (
    NOT_VERIFIED,
    copy_body_part,
    copy_laterality,
    copy_orientation,
    new_object,
    reference,
    to_result,
)


def encode_sc(
    report: Report, finding: Finding, saliency: Saliency | None, source: Dataset, image: Image
) -> ResultObject:
    """Write the overlay of one finding; without a map that may be shown it is the plain image with the words."""
    if report.model is None:
        raise Unsupported("The overlay cannot be made, because the report names no model.")
    number = report.findings.index(finding) + 1
    capture = new_object(report, source, ObjectKind.SC, SecondaryCaptureImageStorage, number)
    copy_body_part(source, capture)
    copy_laterality(source, capture)
    copy_orientation(source, capture)
    capture.ConversionType = "WSD"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.BurnedInAnnotation = "YES"
    capture.ImageComments = f"{NOT_VERIFIED}: {finding.code.meaning}"
    capture.DerivationDescription = "Saliency map and text burnt into the image as displayed"
    if "SOPInstanceUID" in source:
        capture.SourceImageSequence = [reference(source)]
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in source:
            capture.add(source[keyword])
    cohort = next((metric for metric in report.cohorts if metric.finding_name == finding.name), None)
    picture = draw_overlay(image, finding, report.model, saliency, cohort)
    capture.SamplesPerPixel = 3
    capture.PhotometricInterpretation = "RGB"
    capture.PlanarConfiguration = 0
    capture.Rows, capture.Columns = picture.height, picture.width
    capture.BitsAllocated = capture.BitsStored = 8
    capture.HighBit = 7
    capture.PixelRepresentation = 0
    pixels = picture.tobytes()
    capture.PixelData = pixels + b"\0" * (len(pixels) % 2)
    return to_result(report, ObjectKind.SC, capture, finding)
