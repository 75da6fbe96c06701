"""How a presentation state shows its image: the tables, window, polarity and shutter that the image was read with.

A presentation state may hold less than an image: its tables have 8 or 16 bits (PS3.3 C.11.8, C.11.1), and a linear
window is at least 1 wide (C.11.2.1.2). What the image has otherwise is written so that the same picture comes out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_node.pixels.grayscale import Window, is_inverted, windowed
from dicom_node.pixels.overlay import write_plane
from dicom_node.pixels.tables import Floats, LookupTable, read_table

_BITS = 16
_TOP = 2**_BITS - 1
_SHUTTERS = {
    "RECTANGULAR": (
        "ShutterLeftVerticalEdge",
        "ShutterRightVerticalEdge",
        "ShutterUpperHorizontalEdge",
        "ShutterLowerHorizontalEdge",
    ),
    "CIRCULAR": ("CenterOfCircularShutter", "RadiusOfCircularShutter"),
    "POLYGONAL": ("VerticesOfThePolygonalShutter",),
}
_BITMAP_GROUP = 0x6000  # of the overlay in a presentation state
_ACTIVATION_LAYER = 0x1001  # PS3.3 C.11.7
SHUTTER = ("ShutterShape", *(keyword for keywords in _SHUTTERS.values() for keyword in keywords))
"""The attributes of a display shutter (PS3.3 C.7.6.11)."""


def copy_display(source: Dataset, state: Dataset) -> None:
    """Repeat modality LUT, VOI LUT and polarity of the source (PS3.4 N.2)."""
    low, high = _stored_range(source)
    table = _table(source, "ModalityLUTSequence", low, high)
    if _is_repeatable(source, table):
        low, high = _copy_modality(source, state, table, low, high)
        if voi := _softcopy_voi(source, low, high):
            state.SoftcopyVOILUTSequence = [voi]
    else:
        state.RescaleIntercept, state.RescaleSlope, state.RescaleType = 0, 1, "US"
        state.SoftcopyVOILUTSequence = [_both_in_one(source, table, low, high)]
    inverted = is_inverted(source.get("PhotometricInterpretation", ""), source.get("PresentationLUTShape", ""))
    state.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"


def _is_repeatable(source: Dataset, table: LookupTable | None) -> bool:
    """Whether a presentation state may hold what comes before the window, and viewers the window."""
    if table is not None:
        return table.bits == _BITS and not table.disagrees and _fills(table.data)
    is_narrow = source.get("VOILUTFunction") == "SIGMOID" and float(source.get("WindowWidth", 1)) < 1
    return not is_narrow or int(source.get("BitsStored", _BITS)) > _BITS


def _copy_modality(
    source: Dataset, state: Dataset, table: LookupTable | None, low: float, high: float
) -> tuple[float, float]:
    """Repeat the modality transformation and return what stored values from `low` to `high` become."""
    if table is not None:
        item = _item(table, table.data)
        item.ModalityLUTType = "US"  # unspecified
        state.ModalityLUTSequence = [item]
        return float(table.data.min()), float(table.data.max())
    if "RescaleSlope" not in source:
        return low, high
    state.RescaleIntercept, state.RescaleSlope = source.RescaleIntercept, source.RescaleSlope
    state.RescaleType = source.get("RescaleType", "US")
    ends = _rescaled(source, np.array([low, high]))
    return float(ends.min()), float(ends.max())


def _rescaled(source: Dataset, stored: Floats) -> Floats:
    return stored * float(source.get("RescaleSlope", 1)) + float(source.get("RescaleIntercept", 0))


def _both_in_one(source: Dataset, table: LookupTable | None, low: float, high: float) -> Dataset:
    """One VOI LUT of stored values for a modality transformation and the VOI transformation after it."""
    stored = np.arange(int(low), int(high) + 1)
    values = _rescaled(source, stored.astype(np.float64)) if table is None else table.apply(stored)
    voi = _softcopy_voi(source, float(values.min()), float(values.max()))
    if voi is None:
        shown = values / (values.max() if table is None else table.top)
    elif "VOILUTSequence" in voi:
        after = _table(voi, "VOILUTSequence", float(values.min()), float(values.max()))
        shown = after.apply(values.astype(np.int64)) / after.top if after else values / values.max()
    else:
        function = str(voi.get("VOILUTFunction", "LINEAR"))
        shown = windowed(values, Window(float(voi.WindowCenter), float(voi.WindowWidth), function))
    item = Dataset()
    whole = LookupTable(int(low), shown, _BITS, disagrees=False)
    item.VOILUTSequence = [_item(whole, np.rint(shown * _TOP))]
    return item


def put_bitmap_shutter(target: Dataset, hidden: NDArray[np.bool_]) -> None:
    """Say that `hidden` is behind a bitmap display shutter (PS3.3 C.7.6.15), in place of any other shutter."""
    target.ShutterShape, target.ShutterOverlayGroup = "BITMAP", _BITMAP_GROUP
    write_plane(target, _BITMAP_GROUP, hidden)


def copy_shutter(source: Dataset, state: Dataset) -> None:
    """Repeat the display shutter of the source, black (PS3.3 C.7.6.11); a shape that is not complete is left out."""
    if "ShutterOverlayGroup" in source:
        for element in (element for element in source if element.tag.group == _BITMAP_GROUP):
            state.add(element)
        state.add_new(
            Tag(_BITMAP_GROUP, _ACTIVATION_LAYER), "CS", ""
        )  # type 2C; without a layer it is not drawn itself
        state.ShutterShape, state.ShutterOverlayGroup = "BITMAP", _BITMAP_GROUP
        state.ShutterPresentationValue = 0
        return
    named = source.get("ShutterShape") or []
    shapes = [shape for shape in ([named] if isinstance(named, str) else named) if _is_whole_shutter(source, shape)]
    if not shapes:
        return
    state.ShutterShape = shapes
    for keyword in (keyword for shape in shapes for keyword in _SHUTTERS[shape]):
        state.add(source[keyword])
    state.ShutterPresentationValue = 0


def _is_whole_shutter(source: Dataset, shape: str) -> bool:
    return shape in _SHUTTERS and all(keyword in source for keyword in _SHUTTERS[shape])


def _stored_range(source: Dataset) -> tuple[float, float]:
    bits = int(source.get("BitsStored", _BITS))
    lowest = -(2.0 ** (bits - 1)) if source.get("PixelRepresentation") == 1 else 0.0
    return lowest, lowest + 2.0**bits - 1


def _table(source: Dataset, keyword: str, low: float, high: float) -> LookupTable | None:
    """The first table that gives a picture, as the image was read with it."""
    tables = (read_table(item, low, high) for item in source.get(keyword) or ())
    return next((table for table in tables if table is not None), None)


def _softcopy_voi(source: Dataset, low: float, high: float) -> Dataset | None:
    """The VOI LUT or window of the source; None when it has none and is shown over its full range."""
    item = Dataset()
    if table := _table(source, "VOILUTSequence", low, high):
        item.VOILUTSequence = [_voi_item(table, high)]
        return item
    if "WindowCenter" not in source or "WindowWidth" not in source:
        return None
    item.WindowCenter, item.WindowWidth = source.WindowCenter, source.WindowWidth
    if "VOILUTFunction" in source:
        item.VOILUTFunction = source.VOILUTFunction
    return item


def _voi_item(table: LookupTable, high: float) -> Dataset:
    """A table with outputs of 16 bits, up to the input `high`.

    One that peaks at half its range gets an entry more, of an input that does not occur: checkers take its width from
    what is in it.
    """
    outputs = np.rint(table.data * (_TOP / table.top))
    is_complete = table.first + len(outputs) > high
    if not _fills(outputs) and is_complete and len(outputs) < 2**_BITS:
        outputs = np.append(outputs, _TOP)
    return _item(table, outputs)


def _fills(outputs: Floats) -> bool:
    """Whether the largest output needs all bits."""
    return int(outputs.max()).bit_length() == _BITS


def _item(table: LookupTable, outputs: Floats) -> Dataset:
    written = Dataset()
    words = [len(outputs), table.first, _BITS]
    if table.first < 0:
        written.add_new("LUTDescriptor", "SS", [((word & 0xFFFF) ^ 0x8000) - 0x8000 for word in words])
    else:
        written.add_new("LUTDescriptor", "US", [word & 0xFFFF for word in words])
    written.add_new("LUTData", "OW", outputs.astype("<u2").tobytes())
    return written
