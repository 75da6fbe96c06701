"""Decode one frame as a reader would see it. For workers: never call this while a sender waits for its status."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut

from core.domain.study import Image
from core.errors import InvalidStudy
from dicom_node.header.read import read_header
from dicom_node.header.spacing import read_spacing
from dicom_node.header.values import Values
from dicom_node.pixels.background import Mask, padding, shuttered
from dicom_node.pixels.frames import Frame, read_frame
from dicom_node.pixels.grayscale import display


def decode(part10: bytes, *, frame: int = 0) -> Image:
    """The frame (counted from 0) of a Part 10 file as displayed: see `core.domain.study.Image` for units and range.

    Raises InvalidStudy with a reason fit for a report: "the pixel data are truncated", ...
    """
    header = read_header(part10)
    decoded = read_frame(part10, frame)
    if decoded.photometric_interpretation == "PALETTE COLOR":
        decoded = _looked_up(decoded, header)
    headers = (*_functional_groups(header, frame), header)
    row_spacing, column_spacing = read_spacing([Values(part) for part in headers])
    pixels, flags = display(decoded, headers, (row_spacing, column_spacing))
    return Image(pixels=pixels, row_spacing_mm=row_spacing, column_spacing_mm=column_spacing, header_flags=flags)


def decode_values(part10: bytes, window: tuple[float, float]) -> Image:
    """The one frame of a Part 10 file as its rescaled values (PS3.3 C.11.1; of a CT Hounsfield units), for a model.

    `window` of them becomes 0..1, what is outside is cut off, and padding is as low as air; nothing is inverted and no
    VOI LUT applied. Raises InvalidStudy, also for a CT without Rescale Slope and Intercept: its values mean nothing.
    """
    header = read_header(part10)
    values = Values(header)
    slope, intercept = values.number("RescaleSlope"), values.number("RescaleIntercept")
    if slope is None or intercept is None:
        if values.text("Modality") == "CT":
            raise InvalidStudy("a slice has no Rescale Slope or Intercept, so its values are no Hounsfield units")
        slope, intercept = slope or 1.0, intercept or 0.0
    frame = read_frame(part10, 0)
    stored = frame.stored
    if stored.ndim != 2:
        raise InvalidStudy("a slice has more than one sample a pixel")
    low, high = window
    pixels = np.clip((stored * slope + intercept - low) / (high - low), 0.0, 1.0).astype(np.float32)
    if (padded := padding(frame, [values])) is not None:
        pixels[padded] = 0.0
    row_spacing, column_spacing = read_spacing([values])
    return Image(pixels=pixels, row_spacing_mm=row_spacing, column_spacing_mm=column_spacing)


def shutter_of(part10: bytes) -> Mask | None:
    """Where the display shutter hides the first frame, (rows, columns); None where it hides nothing.

    Raises InvalidStudy when the pixels cannot be decoded.
    """
    header = read_header(part10)
    headers = (*_functional_groups(header, 0), header)
    values = [Values(part) for part in headers]
    return shuttered(read_frame(part10, 0), header, values, read_spacing(values))


def _looked_up(frame: Frame, header: Dataset) -> Frame:
    """Palette indices as RGB (PS3.3 C.7.9)."""
    try:
        colours = apply_color_lut(frame.stored, header)
    except Exception as error:  # boundary: a malformed palette may break the library in any way
        raise InvalidStudy("the colour palette cannot be read") from error
    bits = 8 * colours.dtype.itemsize
    return Frame(stored=colours, photometric_interpretation="RGB", bits_stored=bits, is_signed=False)


def _functional_groups(header: Dataset, frame: int) -> tuple[Dataset, ...]:
    """The first items of this frame's and the shared functional groups' macros (PS3.3 C.7.6.16)."""
    per_frame = header.get("PerFrameFunctionalGroupsSequence") or ()
    shared = header.get("SharedFunctionalGroupsSequence") or ()
    groups = [*per_frame[frame : frame + 1], *shared[:1]]
    return tuple(
        element.value[0] for group in groups for element in group if element.VR == "SQ" and len(element.value) > 0
    )
