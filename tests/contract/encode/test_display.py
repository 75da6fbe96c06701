"""A presentation state shows the picture that was read: tables, windows, polarity and shutter of messy sources."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from core.domain.report import ObjectKind
from dicom_node.encode import encode
from dicom_node.pixels.decode import decode
from tests.contract.conformance import dciodvfy
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
        if voi.get("VOILUTFunction", "LINEAR") == "LINEAR":
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
SOURCES: dict[str, dict[str, Any]] = {
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
    "MONOCHROME1 and inverse": {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
    "inverse table": {
        **NO_WINDOW,
        "PresentationLUTShape": "INVERSE",
        "VOILUTSequence": Sequence([lut([4096, 0, 12], IDENTITY)]),
    },
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_viewer_draws_what_was_read(name: str, tmp_path: Path) -> None:
    source = cases.dx_source(**SOURCES[name])
    state, data = state_of(source)
    assert drawn(state, RAMP) == pytest.approx(decode(source).pixels, abs=1e-4)
    (tmp_path / "state.dcm").write_bytes(data)
    assert not dciodvfy(tmp_path / "state.dcm")


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
