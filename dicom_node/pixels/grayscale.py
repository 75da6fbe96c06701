"""From stored values to what a reader sees: the grayscale pipeline of PS3.4 N.2 and PS3.3 C.11.

Modality LUT or rescale, then VOI LUT or window, then polarity. Where the header says nothing of a window, 8-bit
images are shown over their full range and deeper ones between their 0.5 and 99.5 percentiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from core.geometry import FloatMap
from dicom_node.header.values import Values
from dicom_node.pixels.frames import Frame

_PERCENTILES = (0.5, 99.5)
_LUMINANCE = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as YBR_FULL (PS3.3 C.7.6.3.1.2)

Floats = NDArray[np.float64]
ToModality = Callable[[NDArray[Any]], Floats]


@dataclass(frozen=True, slots=True)
class Window:
    """VOI window (PS3.3 C.11.2.1.2), in the units after the modality LUT."""

    center: float
    width: float
    function: str


def display(frame: Frame, headers: tuple[Dataset, ...]) -> tuple[FloatMap, tuple[str, ...]]:
    """Pixels as displayed, float32 (rows, columns), 0.0 black .. 1.0 white, and flags for what was malformed.

    `headers`: where the attributes may lie, the most specific first (functional groups, then the data set).
    """
    if frame.stored.ndim == 3:
        return _luminance(frame), ()
    values = [Values(header) for header in headers]
    to_modality = _modality(frame, values, headers)
    shown = _voi(frame, to_modality, values, headers)
    if frame.photometric_interpretation == "MONOCHROME1" or _first_text(values, "PresentationLUTShape") == "INVERSE":
        shown = 1.0 - shown  # one polarity, said twice in a DX (PS3.3 C.8.11.3): never inverted twice
    flags = tuple(dict.fromkeys(flag for part in values for flag in part.flags))
    return shown.astype(np.float32), flags


def _luminance(frame: Frame) -> FloatMap:
    top = 2.0**frame.bits_stored - 1
    if frame.photometric_interpretation.startswith("YBR"):
        gray = frame.stored[..., 0] / top
    else:
        gray = frame.stored @ _LUMINANCE / top
    return np.clip(gray, 0.0, 1.0).astype(np.float32)


def _modality(frame: Frame, values: list[Values], headers: tuple[Dataset, ...]) -> ToModality:
    """Modality LUT, else rescale (PS3.3 C.11.1)."""
    item = _first_item(headers, "ModalityLUTSequence")
    table = _lookup_table(item, signed=frame.is_signed) if item is not None else None
    if table is not None:
        return table.apply
    slope = _first_number(values, "RescaleSlope") or 1.0
    intercept = _first_number(values, "RescaleIntercept") or 0.0
    return lambda stored: stored * slope + intercept


def _voi(frame: Frame, to_modality: ToModality, values: list[Values], headers: tuple[Dataset, ...]) -> Floats:
    """VOI LUT, else the first window, else the range (PS3.3 C.11.2)."""
    modality = to_modality(frame.stored)
    item = _first_item(headers, "VOILUTSequence")
    table = _lookup_table(item, signed=bool(modality.min() < 0)) if item is not None else None
    if table is not None:
        return table.apply(np.rint(modality).astype(np.int64)) / table.top
    window = _window(values)
    if window is not None:
        return _windowed(modality, window)
    low, high = _full_range(frame, to_modality) if frame.bits_stored <= 8 else _percentiles(frame, modality, values)
    return np.clip((modality - low) / (high - low), 0.0, 1.0) if high > low else np.zeros_like(modality)


def _window(values: list[Values]) -> Window | None:
    for part in values:
        center, width = part.number("WindowCenter"), part.number("WindowWidth")
        if center is None or width is None:
            continue
        function = part.text("VOILUTFunction") or "LINEAR"
        if width < 1 if function == "LINEAR" else width <= 0:
            part.flag("WindowWidth", "window width")
            continue
        return Window(center, width, function)
    return None


def _windowed(x: Floats, window: Window) -> Floats:
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


def _percentiles(frame: Frame, modality: Floats, values: list[Values]) -> tuple[float, float]:
    padding = _first_integer(values, "PixelPaddingValue")
    shown = modality if padding is None else modality[frame.stored != padding]
    if shown.size == 0:
        return 0.0, 0.0
    low, high = np.percentile(shown, _PERCENTILES)
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A LUT of PS3.3 C.11.1.1: `data[i]` is the output for the input `first + i`, clamped at both ends."""

    first: int
    data: Floats
    top: float  # the largest output that the descriptor's bits allow

    def apply(self, x: NDArray[Any]) -> Floats:
        """The output for every input."""
        outputs: Floats = self.data[np.clip(x - self.first, 0, len(self.data) - 1)]
        return outputs


def _lookup_table(item: Dataset, *, signed: bool) -> LookupTable | None:
    """Read LUTDescriptor and LUTData; None when they are malformed."""
    descriptor, data = _words(item, "LUTDescriptor"), _words(item, "LUTData")
    if len(descriptor) != 3 or len(data) == 0:
        return None
    entries, first, bits = (int(word) for word in descriptor)
    entries = entries or 65536
    if signed and first >= 32768:
        first -= 65536
    if len(data) < entries:
        data = data.view(np.uint8)  # 8-bit entries, packed (PS3.3 C.11.1.1.1)
    if len(data) < entries or not 1 <= bits <= 16:
        return None
    outputs = data[:entries].astype(np.float64)
    return LookupTable(first, outputs, max(2.0**bits - 1, float(outputs.max())))


def _words(item: Dataset, keyword: str) -> NDArray[Any]:
    """The 16-bit words of an element that may be US, SS or OW, raw or converted."""
    if keyword not in item:
        return np.empty(0, np.uint16)
    element = item.get_item(keyword)
    value = element.value
    if isinstance(value, bytes):
        little = not isinstance(element, RawDataElement) or element.is_little_endian
        return np.frombuffer(value[: len(value) // 2 * 2], "<u2" if little else ">u2").astype(np.uint16)
    words = value if isinstance(value, Iterable) else [value]
    return (np.array([int(word) for word in words]) & 0xFFFF).astype(np.uint16)


def _first_item(headers: tuple[Dataset, ...], keyword: str) -> Dataset | None:
    for header in headers:
        if sequence := header.get(keyword):
            item: Dataset = sequence[0]
            return item
    return None


def _first_text(values: list[Values], keyword: str) -> str:
    return next((text for part in values if (text := part.text(keyword))), "")


def _first_number(values: list[Values], keyword: str) -> float | None:
    return next((number for part in values if (number := part.number(keyword)) is not None), None)


def _first_integer(values: list[Values], keyword: str) -> int | None:
    return next((number for part in values if (number := part.integer(keyword)) is not None), None)
