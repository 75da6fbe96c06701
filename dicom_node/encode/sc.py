"""RGB Secondary Capture of one finding: the overlay as a DICOM image that any viewer shows (PS3.3 A.8.1)."""

from __future__ import annotations

from pydicom.uid import SecondaryCaptureImageStorage

from core.domain.report import ObjectKind, ResultObject
from core.domain.study import Image
from dicom_node.encode.overlay import draw_overlay
from dicom_node.encode.shell import (
    copy_body_part,
    copy_laterality,
    copy_orientation,
    new_picture,
    reference,
    to_picture,
)
from dicom_node.encode.sources import Subject


def encode_sc(subject: Subject, image: Image) -> ResultObject:
    """Write the overlay of one finding; without a map that may be shown it is the plain image with the words."""
    reading, finding, source = subject.reading, subject.finding, subject.source
    capture = new_picture(subject, ObjectKind.SC, SecondaryCaptureImageStorage)
    copy_body_part(source, capture)
    copy_laterality(source, capture)
    copy_orientation(source, capture)
    capture.ConversionType = "WSD"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.BurnedInAnnotation = "YES"
    capture.ImageComments = subject.label
    capture.DerivationDescription = "Saliency map and text burnt into the image as displayed"
    if "SOPInstanceUID" in source:
        capture.SourceImageSequence = [reference(source)]
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in source:
            capture.add(source[keyword])
    cohort = next((metric for metric in reading.cohorts if metric.finding_name == finding.name), None)
    picture = draw_overlay(image, finding, reading.model, subject.saliency, cohort)
    capture.SamplesPerPixel = 3
    capture.PhotometricInterpretation = "RGB"
    capture.PlanarConfiguration = 0
    capture.Rows, capture.Columns = picture.height, picture.width
    capture.BitsAllocated = capture.BitsStored = 8
    capture.HighBit = 7
    capture.PixelRepresentation = 0
    pixels = picture.tobytes()
    capture.PixelData = pixels + b"\0" * (len(pixels) % 2)
    return to_picture(subject, ObjectKind.SC, capture)
