"""From stored values to what a reader sees: the grayscale pipeline of PS3.4 N.2 and PS3.3 C.11.

Modality LUT or rescale, then VOI LUT or window, then polarity. Where the header says nothing of a window, 8-bit
images are shown over their full range and deeper ones between their 0.5 and 99.5 percentiles.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from core.geometry import FloatMap
from dicom_node.header.values import Values
from dicom_node.pixels.background import Mask, padding, shuttered
from dicom_node.pixels.frames import Frame
from dicom_node.pixels.tables import LookupTable, read_table

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_PERCENTILES = (0.5, 99.5)
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as YBR_FULL (PS3.3 C.7.6.3.1.2)

Floats = NDArray[np.float64]
Stored = NDArray[Any]
ToModality = Callable[[Stored], Floats]


@dataclass(frozen=True, slots=True)
class Window:
    """VOI window (PS3.3 C.11.2.1.2), in the units after the modality LUT."""

    center: float
    width: float
    function: str


def display(
    frame: Frame, headers: tuple[Dataset, ...], spacing: tuple[float, float] = (1.0, 1.0)
) -> tuple[FloatMap, tuple[str, ...]]:
    """Pixels as displayed, float32 (rows, columns), 0.0 black .. 1.0 white, and flags for what was malformed.

    `headers`: where the attributes may be, the most specific first (functional groups, then the data set). What is
    padding or behind a shutter is background: black, whatever the polarity.
    """
    values = [Values(header) for header in headers]
    hidden = _background(frame, headers[-1], values, spacing)
    shown = _luminance(frame) if frame.stored.ndim == 3 else _shown(frame, headers, values, hidden)
    if hidden is not None:
        shown[hidden] = 0.0
    flags = tuple(dict.fromkeys(flag for part in values for flag in part.flags))
    return shown.astype(np.float32), flags


def _background(frame: Frame, header: Dataset, values: list[Values], spacing: tuple[float, float]) -> Mask | None:
    """What is no picture: padding, and what a shutter hides."""
    found = padding(frame, values), shuttered(frame, header, values, spacing)
    masks = [mask for mask in found if mask is not None]
    return np.logical_or.reduce(masks) if masks else None


def _shown(frame: Frame, headers: tuple[Dataset, ...], values: list[Values], hidden: Mask | None) -> Floats:
    """Modality, then VOI, then polarity."""
    picture = frame.stored if hidden is None or hidden.all() else frame.stored[~hidden]
    to_modality = _modality(picture, values, headers)
    shown = _voi(frame, picture, to_modality, values, headers)
    shape = _first_text(values, "PresentationLUTShape")
    if (frame.photometric_interpretation, shape) == ("MONOCHROME1", "IDENTITY"):
        values[-1].note("PhotometricInterpretation and PresentationLUTShape contradict each other: the shape counts")
    return 1.0 - shown if is_inverted(frame.photometric_interpretation, shape) else shown


def is_inverted(photometric_interpretation: str, presentation_lut_shape: str) -> bool:
    """Whether low values are white: one polarity, said twice in a DX (PS3.3 C.8.11.3), and never inverted twice.

    Where the two contradict each other the shape counts, which comes last (PS3.4 N.2): so do DCMTK and dcm4che.
    """
    if presentation_lut_shape in ("IDENTITY", "INVERSE"):
        return presentation_lut_shape == "INVERSE"
    return photometric_interpretation == "MONOCHROME1"


def _luminance(frame: Frame) -> Floats:
    top = 2.0**frame.bits_stored - 1
    if frame.photometric_interpretation.startswith("YBR"):
        gray = frame.stored[..., 0] / top
    else:
        gray = frame.stored @ _LUMINANCE / top
    return np.clip(gray, 0.0, 1.0)


def _modality(picture: Stored, values: list[Values], headers: tuple[Dataset, ...]) -> ToModality:
    """Modality LUT, else rescale (PS3.3 C.11.1)."""
    table = _table(headers, values, "ModalityLUTSequence", float(picture.min()), float(picture.max()))
    if table is not None:
        return table.apply
    slope = _first_number(values, "RescaleSlope") or 1.0
    intercept = _first_number(values, "RescaleIntercept") or 0.0
    return lambda stored: stored * slope + intercept


def _voi(
    frame: Frame, picture: Stored, to_modality: ToModality, values: list[Values], headers: tuple[Dataset, ...]
) -> Floats:
    """VOI LUT, else the window, else the range (PS3.3 C.11.2); `picture`: the stored values that are not hidden."""
    modality, seen = to_modality(frame.stored), to_modality(picture)
    table = _table(headers, values, "VOILUTSequence", float(seen.min()), float(seen.max()))
    if table is not None:
        return table.apply(np.rint(modality).astype(np.int64)) / table.top
    window = _window(values)
    if window is not None:
        return windowed(modality, window)
    low, high = _full_range(frame, to_modality) if frame.bits_stored <= 8 else _percentiles(seen)
    return np.clip((modality - low) / (high - low), 0.0, 1.0) if high > low else np.zeros_like(modality)


def _table(
    headers: tuple[Dataset, ...], values: list[Values], keyword: str, low: float, high: float
) -> LookupTable | None:
    """The first table of a sequence that gives a picture of inputs from `low` to `high`."""
    for header, part in zip(headers, values, strict=True):
        items = header.get(keyword) or ()
        for item in items:
            if (table := read_table(item, low, high)) is not None:
                if table.disagrees:
                    part.note(f"{keyword}: descriptor and contents disagree, the contents were used")
                return table
        if items:
            part.note(f"{keyword} cannot be read, so it is not used")
    return None


def _window(values: list[Values]) -> Window | None:
    windows = (window for part in values for window in windows_of(part))
    return next((window for window in windows if window is not None), None)


def windows_of(part: Values) -> list[Window | None]:
    """The windows of a data set, None in the place of each that cannot be meant (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    function = part.text("VOILUTFunction").upper()
    if function not in _FUNCTIONS:
        if function:
            part.note("VOILUTFunction is no defined term, so the window is read as LINEAR")
        function = "LINEAR"
    pairs = zip(part.each_number("WindowCenter"), part.each_number("WindowWidth"), strict=False)
    return [_usable(part, center, width, function) for center, width in pairs]


def _usable(part: Values, center: float | None, width: float | None, function: str) -> Window | None:
    if center is None or width is None:
        return None
    if width < 1 if function == "LINEAR" else width <= 0:
        part.flag("WindowWidth", "window width")
        return None
    return Window(center, width, function)


def windowed(x: Floats, window: Window) -> Floats:
    """PS3.3 C.11.2.1.2.1 (LINEAR), C.11.2.1.3.1 (SIGMOID), C.11.2.1.3.2 (LINEAR_EXACT)."""
    if window.function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - window.center) / window.width, -700.0, 700.0)))
    if window.function == "LINEAR_EXACT":
        return np.clip((x - window.center) / window.width + 0.5, 0.0, 1.0)
    if window.width == 1:
        return (x > window.center - 0.5).astype(np.float64)
    return np.clip((x - (window.center - 0.5)) / (window.width - 1) + 0.5, 0.0, 1.0)


def _full_range(frame: Frame, to_modality: ToModality) -> tuple[float, float]:
    top = 2**frame.bits_stored - 1
    ends = np.array([0, top]) - (2 ** (frame.bits_stored - 1) if frame.is_signed else 0)
    low, high = sorted(to_modality(ends))
    return float(low), float(high)


def _percentiles(seen: Floats) -> tuple[float, float]:
    low, high = np.percentile(seen, _PERCENTILES)
    return float(low), float(high)


def _first_text(values: list[Values], keyword: str) -> str:
    return next((text for part in values if (text := part.text(keyword))), "")


def _first_number(values: list[Values], keyword: str) -> float | None:
    return next((number for part in values if (number := part.number(keyword)) is not None), None)
