"""Grayscale Softcopy Presentation State: the outline and a label on the original image.

A presentation state replaces what the image says about its own display. So the modality LUT, the window and the
polarity of the source are repeated here: without them a viewer would show a CR in identity, and a MONOCHROME1 image
with black and white exchanged (PS3.4 N.2). The label is placed relative to the display, so it fits any matrix;
that a person has not verified it is written at the outline too, in the image's own pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from core.domain.report import Finding, ObjectKind, ResultObject
from core.wording import probability
from dicom_node.encode import concepts
from dicom_node.encode.picture.lines import Outline, lines_of
from dicom_node.encode.shell import (
    REGION_WORDS,
    copy_body_part,
    copy_laterality,
    local_date_time,
    new_picture,
    reference,
    to_picture,
)
from dicom_node.encode.sources import NOT_VERIFIED, Located, Subject
from dicom_node.encode.sr.content import outline
from dicom_node.header.part10 import MANUFACTURER
from dicom_node.pixels.presentation import copy_display, copy_shutter

_LAYER = "AI"
_COLOUR = [46273, 37131, 52089]  # Okabe-Ito orange as scaled CIELab (PS3.3 C.10.7.1.1)
_LABEL_TOP_LEFT, _LABEL_BOTTOM_RIGHT = [0.02, 0.02], [0.98, 0.12]  # of the displayed area


def encode_gsps(subject: Subject) -> ResultObject:
    """Write the outlines of one finding as a presentation state for the images it is in (PS3.3 A.33.1)."""
    finding, source = subject.finding, subject.source
    state = new_picture(subject, ObjectKind.GSPS, GrayscaleSoftcopyPresentationStateStorage)
    state.CodingSchemeIdentificationSequence = concepts.coding_schemes()
    copy_body_part(source, state)
    copy_laterality(source, state)
    state.ContentLabel = "AI_REGION"
    state.ContentDescription = subject.label
    state.ContentCreatorName = MANUFACTURER
    state.PresentationCreationDate, state.PresentationCreationTime = local_date_time(subject.report, source)
    state.ReferencedSeriesSequence = [_referenced_series([located.source for located in subject.in_order])]
    copy_display(source, state)
    copy_shutter(source, state)
    state.DisplayedAreaSelectionSequence = [_displayed_area(source)]
    state.GraphicAnnotationSequence = [_annotation(finding, located) for located in subject.in_order]
    state.GraphicLayerSequence = [_layer()]
    return to_picture(subject, ObjectKind.GSPS, state)


def _referenced_series(sources: list[Dataset]) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = sources[0].SeriesInstanceUID
    series.ReferencedImageSequence = [reference(source) for source in sources]
    return series


def _displayed_area(source: Dataset) -> Dataset:
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [source.Columns, source.Rows]
    area.PresentationSizeMode = "SCALE TO FIT"
    spacing = source.get("PixelSpacing") or source.get("ImagerPixelSpacing")
    if spacing:
        area.PresentationPixelSpacing = list(spacing)
    else:
        area.PresentationPixelAspectRatio = list(source.get("PixelAspectRatio") or [1, 1])
    return area


def _annotation(finding: Finding, located: Located) -> Dataset:
    annotation = Dataset()
    annotation.ReferencedImageSequence = [reference(located.source)]
    annotation.GraphicLayer = _LAYER
    outlines = [outline(region, located.source) for region in located.saliency.regions]
    lines = [line for one in outlines for line in lines_of(one, located.source.Rows, located.source.Columns)]
    annotation.TextObjectSequence = [_label(finding), _notice(finding, lines, located.source)]
    if lines:
        annotation.GraphicObjectSequence = [_polyline(line.ravel().tolist()) for line in lines]
    return annotation


def _label(finding: Finding) -> Dataset:
    label = Dataset()
    label.BoundingBoxAnnotationUnits = "DISPLAY"
    label.UnformattedTextValue = (
        f"{NOT_VERIFIED}: {finding.code.meaning}, probability {probability(finding.probability)} "
        f"(operating point {probability(finding.operating_point.threshold)})\r\n{REGION_WORDS}"
    )
    label.BoundingBoxTopLeftHandCorner = _LABEL_TOP_LEFT
    label.BoundingBoxBottomRightHandCorner = _LABEL_BOTTOM_RIGHT
    label.BoundingBoxTextHorizontalJustification = "LEFT"
    return label


def _notice(finding: Finding, lines: Sequence[Outline], source: Dataset) -> Dataset:
    """The words in pixels of the image, at the outline: some viewers drop what is placed on the display."""
    corner = np.min(np.concatenate(lines), axis=0) if lines else np.zeros(2)
    notice = Dataset()
    notice.UnformattedTextValue = f"{NOT_VERIFIED}: {finding.code.meaning}"
    notice.AnchorPointAnnotationUnits = "PIXEL"
    notice.AnchorPoint = [float(x) for x in np.clip(corner, 1, [source.Columns - 1, source.Rows - 1])]
    notice.AnchorPointVisibility = "N"
    return notice


def _polyline(coordinates: list[float]) -> Dataset:
    graphic = Dataset()
    graphic.GraphicAnnotationUnits = "PIXEL"
    graphic.GraphicDimensions = 2
    graphic.NumberOfGraphicPoints = len(coordinates) // 2
    graphic.GraphicData = coordinates
    graphic.GraphicType = "POLYLINE"
    if coordinates[:2] == coordinates[-2:]:
        graphic.GraphicFilled = "N"  # type 1C: of closed figures alone
    return graphic


def _layer() -> Dataset:
    layer = Dataset()
    layer.GraphicLayer = _LAYER
    layer.GraphicLayerOrder = 1
    layer.GraphicLayerRecommendedDisplayCIELabValue = _COLOUR
    layer.GraphicLayerDescription = "AI result, not verified"
    return layer
