"""A presentation state shows the picture that was read: tables, windows, polarity and shutter of messy sources."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from core.domain.explanation import Region
from core.domain.report import ObjectKind, Report
from dicom_node.encode import encode
from dicom_node.pixels.decode import decode
from tests.contract.conformance import dciodvfy, dcmtk_presentation
from tests.contract.encode import cases

RAMP = np.linspace(0, 4095, 64 * 48).astype("<u2").reshape(64, 48)


def state_of(source: bytes) -> tuple[Dataset, bytes]:
    (result,) = encode(cases.report(), sources={cases.IMAGE_UID: source}, images={}, kinds=frozenset({ObjectKind.GSPS}))
    return dcmread(BytesIO(result.data)), result.data


def lut(descriptor: list[int], words: NDArray[Any]) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [value & 0xFFFF for value in descriptor])
    item.add_new("LUTData", "OW", np.asarray(words, "<u2").tobytes())
    return item


def drawn(state: Dataset, stored: NDArray[Any]) -> NDArray[Any]:
    """What a viewer draws of the state, from the formulas of PS3.3 C.11: 0 is black, 1 is white."""
    x = stored.astype(float)
    if "RescaleSlope" in state:
        x = x * float(state.RescaleSlope) + float(state.RescaleIntercept)
    if "ModalityLUTSequence" in state:
        x, _ = looked_up(state.ModalityLUTSequence[0], x)
    voi = state.SoftcopyVOILUTSequence[0]
    if "VOILUTSequence" in voi:
        x, bits = looked_up(voi.VOILUTSequence[0], x)
        x = x / (2**bits - 1)
    else:
        center, width = float(voi.WindowCenter), float(voi.WindowWidth)
        if voi.get("VOILUTFunction") == "SIGMOID":
            x = 1 / (1 + np.exp(-4 * (x - center) / width))
        elif voi.get("VOILUTFunction", "LINEAR") == "LINEAR":
            x = (x - (center - 0.5)) / (width - 1) + 0.5
        else:
            x = (x - center) / width + 0.5
    x = x.clip(0, 1)
    return 1 - x if state.PresentationLUTShape == "INVERSE" else x


def looked_up(item: Dataset, x: NDArray[Any]) -> tuple[NDArray[Any], int]:
    entries, first, bits = item.LUTDescriptor
    assert bits in (8, 16), "PS3.3 C.11.8"
    data = item.LUTData
    words = np.frombuffer(data, "<u2") if isinstance(data, bytes) else np.array(data)
    assert len(words) == (entries or 65536)
    return words[np.clip(np.rint(x).astype(int) - first, 0, len(words) - 1)].astype(float), bits


IDENTITY = np.arange(4096)
NO_WINDOW: dict[str, Any] = {"WindowCenter": None, "WindowWidth": None}
NO_RESCALE: dict[str, Any] = {"RescaleSlope": None, "RescaleIntercept": None, "RescaleType": None}


def table(descriptor: list[int], words: NDArray[Any]) -> Sequence:
    return Sequence([lut(descriptor, words)])


BROKEN_AND_WHOLE = Sequence([lut([4096, 0, 12], IDENTITY[:0]), lut([4096, 0, 12], IDENTITY[::-1])])
SOURCES: dict[str, dict[str, Any]] = {
    "sigmoid": {"VOILUTFunction": "SIGMOID", "WindowCenter": 2000, "WindowWidth": 1000},
    "sigmoid below one": {"VOILUTFunction": "SIGMOID", "WindowCenter": 2000, "WindowWidth": "0.5"},
    "exact": {"VOILUTFunction": "LINEAR_EXACT", "WindowCenter": 2000, "WindowWidth": 1000},
    "no rescale": NO_RESCALE,
    "no Rescale Type": {"RescaleType": None},
    "slope without intercept": {**NO_RESCALE, "RescaleSlope": 2, "WindowCenter": 4000, "WindowWidth": 8000},
    "intercept without slope": {**NO_RESCALE, "RescaleIntercept": -1000},
    "slope of zero": {"RescaleSlope": 0},
    "modality table of 16 bits without a type": {
        **NO_RESCALE,
        "ModalityLUTSequence": table([4096, 0, 16], IDENTITY * 16),
        "WindowCenter": 30000,
        "WindowWidth": 30000,
    },
    "modality table and a rescale": {
        "ModalityLUTSequence": table([4096, 0, 16], IDENTITY * 16),
        "WindowCenter": 30000,
        "WindowWidth": 30000,
    },
    "modality table of 16 bits that peaks low": {
        **NO_RESCALE,
        "ModalityLUTSequence": table([4096, 0, 16], IDENTITY * 7),
        "WindowCenter": 15000,
        "WindowWidth": 20000,
    },
    "modality table and sigmoid": {
        **NO_RESCALE,
        "ModalityLUTSequence": table([4096, 0, 12], IDENTITY[::-1]),
        "VOILUTFunction": "SIGMOID",
    },
    "modality table of 8 bits": {
        **NO_RESCALE,
        "ModalityLUTSequence": table([4096, 0, 8], IDENTITY // 16),
        "WindowCenter": 100,
        "WindowWidth": 50,
    },
    "both tables": {
        **NO_RESCALE,
        **NO_WINDOW,
        "ModalityLUTSequence": table([4096, 0, 12], IDENTITY[::-1]),
        "VOILUTSequence": table([4096, 0, 12], IDENTITY),
    },
    "both tables, 65536 entries": {
        **NO_RESCALE,
        **NO_WINDOW,
        "ModalityLUTSequence": table([4096, 0, 16], IDENTITY * 16),
        "VOILUTSequence": table([0, 0, 12], np.arange(65536) // 16),
    },
    "second modality table": {**NO_RESCALE, "ModalityLUTSequence": BROKEN_AND_WHOLE},
    "second table": {**NO_WINDOW, "VOILUTSequence": BROKEN_AND_WHOLE},
    "table of one grey, and a window": {"VOILUTSequence": table([4096, 0, 12], np.full(4096, 9))},
    "table and window": {"WindowCenter": 9, "WindowWidth": 9, "VOILUTSequence": table([4096, 0, 12], IDENTITY)},
    "table after a slope of a half": {
        **NO_WINDOW,
        "RescaleSlope": "0.5",
        "VOILUTSequence": table([2048, 0, 12], np.arange(2048) * 2),
    },
    "table that peaks low": {**NO_WINDOW, "VOILUTSequence": table([4096, 0, 16], IDENTITY * 7)},
    "window": {},
    "narrow exact window": {
        "RescaleSlope": "0.0001",
        "WindowCenter": "0.2",
        "WindowWidth": "0.4",
        "VOILUTFunction": "LINEAR_EXACT",
    },
    "12-bit table": {**NO_WINDOW, "VOILUTSequence": Sequence([lut([4096, 0, 12], IDENTITY)])},
    "10-bit table": {**NO_WINDOW, "VOILUTSequence": Sequence([lut([4096, 0, 10], IDENTITY // 4)])},
    "16-bit table": {**NO_WINDOW, "VOILUTSequence": Sequence([lut([4096, 0, 16], IDENTITY * 16)])},
    "8-bit table": {**NO_WINDOW, "VOILUTSequence": Sequence([lut([4096, 0, 8], IDENTITY // 16)])},
    "table narrower than declared": {**NO_WINDOW, "VOILUTSequence": Sequence([lut([4096, 0, 16], IDENTITY)])},
    "table shorter than declared": {**NO_WINDOW, "VOILUTSequence": Sequence([lut([4096, 0, 12], IDENTITY[:3000])])},
    "table longer than declared": {**NO_WINDOW, "VOILUTSequence": Sequence([lut([256, 0, 12], IDENTITY)])},
    "table from below zero": {
        **NO_WINDOW,
        "RescaleIntercept": -1024,
        "VOILUTSequence": Sequence([lut([4096, -1024, 12], IDENTITY)]),
    },
    "modality table": {
        "RescaleSlope": None,
        "RescaleIntercept": None,
        "RescaleType": None,
        "ModalityLUTSequence": Sequence([lut([4096, 0, 12], IDENTITY[::-1])]),
    },
    "inverse": {"PresentationLUTShape": "INVERSE"},
    "MONOCHROME1": {"PhotometricInterpretation": "MONOCHROME1"},
    "MONOCHROME1 and identity": {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "IDENTITY"},
    "MONOCHROME2 and identity": {"PresentationLUTShape": "IDENTITY"},
    "the first window that can be meant": {"WindowCenter": [9, 9, 1000, 50], "WindowWidth": ["0", "0.5", "500", "9"]},
    "more centers than widths": {"WindowCenter": [1000, 2000], "WindowWidth": "500"},
    "function in small letters": {
        "RescaleSlope": "0.0001",
        "WindowCenter": "0.2",
        "WindowWidth": "0.4",
        "VOILUTFunction": "linear_exact",
    },
    "function that does not exist": {"WindowCenter": "1000", "WindowWidth": "500", "VOILUTFunction": "LOG"},
    "negative slope": {"RescaleSlope": -1, "RescaleIntercept": 4095, "WindowCenter": 1000, "WindowWidth": 900},
    "window outside the values": {"WindowCenter": -500, "WindowWidth": 200},
    "window in many digits": {"WindowCenter": "2047.500000000", "WindowWidth": "4.096E+03"},
    "shutter": {
        "ShutterShape": ["RECTANGULAR", "BITMAP"],
        "ShutterLeftVerticalEdge": 1,
        "ShutterRightVerticalEdge": 48,
        "ShutterUpperHorizontalEdge": 1,
        "ShutterLowerHorizontalEdge": 64,
    },
    "MONOCHROME1 and inverse": {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
    "inverse table": {
        **NO_WINDOW,
        "PresentationLUTShape": "INVERSE",
        "VOILUTSequence": Sequence([lut([4096, 0, 12], IDENTITY)]),
    },
}


def test_what_a_table_says_of_itself_is_not_repeated() -> None:
    source = {**NO_WINDOW, "VOILUTSequence": table([4096, 0, 16], IDENTITY * 16)}
    source["VOILUTSequence"][0].LUTExplanation = "y" * 70
    (voi,) = state_of(cases.dx_source(**source))[0].SoftcopyVOILUTSequence
    assert "LUTExplanation" not in voi.VOILUTSequence[0]


@pytest.mark.parametrize("intercept", ["-1024.00000000000000", "-1.0240E+03"])
def test_a_number_is_repeated_as_it_was_read_however_it_was_written(intercept: str) -> None:
    with warnings.catch_warnings(action="ignore"):
        source = cases.dx_source(RescaleIntercept=intercept, WindowCenter="500.0000000000000000")
    state, _ = state_of(source)
    assert state.RescaleIntercept == -1024
    assert state.SoftcopyVOILUTSequence[0].WindowCenter == 500
    assert drawn(state, RAMP) == pytest.approx(decode(source).pixels, abs=1e-4)


@pytest.mark.parametrize("name", SOURCES)
def test_a_viewer_draws_what_was_read(name: str, tmp_path: Path) -> None:
    source = cases.dx_source(**SOURCES[name])
    state, data = state_of(source)
    assert drawn(state, RAMP) == pytest.approx(decode(source).pixels, abs=1e-4)
    (tmp_path / "state.dcm").write_bytes(data)
    assert not dciodvfy(tmp_path / "state.dcm")


def test_a_window_of_a_function_that_does_not_exist_is_none_below_one() -> None:
    """A width of 0.5 in the linear formula exchanged black and white."""
    source = cases.dx_source(WindowCenter="2000", WindowWidth="0.5", VOILUTFunction="LOG")
    assert decode(source).pixels == pytest.approx(decode(cases.dx_source(**NO_WINDOW)).pixels)
    assert "SoftcopyVOILUTSequence" not in state_of(source)[0]


def of_region(*corners: tuple[int, int]) -> Report:
    region = Region(points=np.asarray([*corners, corners[0]], np.float32), area_pixels=100.0)
    return cases.report(saliencies=(cases.saliency(regions=(region,)),))


@pytest.mark.parametrize(
    ("corners", "closed"),
    [
        ([(10, 10), (30, 10), (30, 40)], True),
        ([(0, 0), (20, 0), (20, 30), (0, 30)], False),  # a corner of the image
        ([(0, 20), (20, 20), (20, 30), (0, 30)], False),  # the left edge
        ([(30, 40), (48, 40), (48, 64), (30, 64)], False),  # the corner below, right
        ([(0, 20), (48, 20), (48, 30), (0, 30)], False),  # from side to side: two lines
        ([(0, 0), (48, 0), (48, 64), (0, 64)], None),  # nothing but frame
    ],
)
def test_only_a_closed_figure_says_whether_it_is_filled_and_the_words_are_in_pixels_too(
    corners: list[tuple[int, int]], closed: bool | None, tmp_path: Path
) -> None:
    """PS3.3 C.10.5: Graphic Filled is type 1C. Weasis drops text in DISPLAY units."""
    (result,) = encode(
        of_region(*corners), {cases.IMAGE_UID: cases.dx_source()}, images={}, kinds=frozenset({ObjectKind.GSPS})
    )
    (annotation,) = dcmread(BytesIO(result.data)).GraphicAnnotationSequence
    graphics = annotation.get("GraphicObjectSequence") or []
    assert {"GraphicFilled" in graphic for graphic in graphics} == ({closed} if closed is not None else set())
    on_display, in_pixels = annotation.TextObjectSequence
    assert (on_display.BoundingBoxAnnotationUnits, in_pixels.AnchorPointAnnotationUnits) == ("DISPLAY", "PIXEL")
    assert "NOT VERIFIED" in in_pixels.UnformattedTextValue
    column, row = in_pixels.AnchorPoint
    assert (0 <= column <= 48, 0 <= row <= 64) == (True, True)
    (tmp_path / "state.dcm").write_bytes(result.data)
    assert not dciodvfy(tmp_path / "state.dcm")
    assert not dcmtk_presentation(tmp_path / "state.dcm")


@pytest.mark.parametrize("width", ["0.5", "0.999", "0.01"])
@pytest.mark.parametrize("function", ["LINEAR", None])
def test_a_linear_window_below_one_is_not_repeated(width: str, function: str | None) -> None:
    state, _ = state_of(cases.dx_source(WindowCenter="0.5", WindowWidth=width, VOILUTFunction=function))
    assert "SoftcopyVOILUTSequence" not in state


@pytest.mark.parametrize(
    "shutter",
    [
        {
            "ShutterShape": "RECTANGULAR",
            "ShutterLeftVerticalEdge": 5,
            "ShutterRightVerticalEdge": 25,
            "ShutterUpperHorizontalEdge": 3,
            "ShutterLowerHorizontalEdge": 18,
        },
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [30, 20], "RadiusOfCircularShutter": 15},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [3, 5, 3, 25, 18, 25, 18, 5]},
    ],
)
def test_the_shutter_is_repeated(shutter: dict[str, Any]) -> None:
    state, _ = state_of(cases.dx_source(**shutter))
    assert {keyword: state[keyword].value for keyword in shutter} == shutter
    assert state.ShutterPresentationValue == 0
    broken = dict(list(shutter.items())[:-1])
    assert "ShutterShape" not in state_of(cases.dx_source(**broken))[0]
