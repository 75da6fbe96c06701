"""RGB Secondary Captures, which any viewer shows (PS3.3 A.8.1): the summary of an image, and one of each finding."""

from __future__ import annotations

from PIL import Image as Picture
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from core.domain.report import ObjectKind, ResultObject
from core.domain.study import Image
from dicom_node.encode.picture.finding import draw_finding
from dicom_node.encode.picture.summary import draw_summary
from dicom_node.encode.shell import (
    copy_body_part,
    copy_laterality,
    copy_orientation,
    new_object,
    new_picture,
    reference,
    to_picture,
    to_result,
    zone_of,
)
from dicom_node.encode.sources import Subject
from dicom_node.encode.summaries import Summary
from dicom_node.encode.uids import instance_uid


def encode_summary(summary: Summary, image: Image) -> ResultObject:
    """Write the summary of all findings on one image."""
    report, kind = summary.report, ObjectKind.SC
    number = summary.number
    capture = new_object(
        report, summary.source, kind, SecondaryCaptureImageStorage, models=summary.models, number=number
    )
    _describe(capture, summary.source, summary.label)
    _put_pixels(capture, draw_summary(report, summary.models, image, summary.entries, zone_of(summary.source)))
    return to_result(report, summary.source, kind, capture, instance_uid(report, kind, summary.readings[0], ""))


def encode_sc(subject: Subject, image: Image, kind: ObjectKind) -> ResultObject:
    """Write the picture of one finding; without a map that may be shown it is the plain image with the words."""
    reading, finding = subject.reading, subject.finding
    capture = new_picture(subject, kind, SecondaryCaptureImageStorage)
    _describe(capture, subject.source, subject.label)
    performance = reading.performance_of(finding.name)
    _put_pixels(capture, draw_finding(image, finding, reading.model, subject.saliency, performance))
    return to_picture(subject, kind, capture)


def _describe(capture: Dataset, source: Dataset, label: str) -> None:
    copy_body_part(source, capture)
    copy_laterality(source, capture)
    copy_orientation(source, capture)
    capture.ConversionType = "WSD"
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.BurnedInAnnotation = "YES"
    capture.ImageComments = label
    capture.DerivationDescription = "Outlines and text burnt into the image as displayed"
    if "SOPInstanceUID" in source:
        capture.SourceImageSequence = [reference(source)]
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in source:
            capture.add(source[keyword])


def _put_pixels(capture: Dataset, picture: Picture.Image) -> None:
    capture.SamplesPerPixel = 3
    capture.PhotometricInterpretation = "RGB"
    capture.PlanarConfiguration = 0
    capture.Rows, capture.Columns = picture.height, picture.width
    capture.BitsAllocated = capture.BitsStored = 8
    capture.HighBit = 7
    capture.PixelRepresentation = 0
    pixels = picture.tobytes()
    capture.PixelData = pixels + b"\0" * (len(pixels) % 2)
