"""Windows below 1 (PS3.3 C.11.2.1.2, C.11.2.1.3): a linear one is at least 1 wide, the others only above 0."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from pydicom.sequence import Sequence
from scipy.special import expit

from core.domain.report import ObjectKind
from dicom_node.encode import encode
from dicom_node.pixels.decode import decode
from tests.contract.conformance import dciodvfy, dcmtk_presentation
from tests.contract.encode import cases
from tests.unit.dicom_node.test_pixels import linear, linear_exact
from tests.unit.dicom_node.test_presentation import RAMP, drawn, lut, state_of

NO_RESCALE: dict[str, Any] = {"RescaleSlope": None, "RescaleIntercept": None, "RescaleType": None}
UNIT = {"RescaleSlope": "0.000244140625", "RescaleIntercept": "0"}  # 1/4096: values from 0 to 1
Formula = Any


def window(center: object, width: object, function: str | None = None, **more: object) -> dict[str, Any]:
    return {"WindowCenter": center, "WindowWidth": width, "VOILUTFunction": function, **more}


def sigmoid(x: float, center: float, width: float) -> float:
    """PS3.3 C.11.2.1.3.1."""
    return float(expit(4 * (x - center) / width))


def values(source: dict[str, Any]) -> NDArray[Any]:
    slope, intercept = source.get("RescaleSlope", 1) or 1, source.get("RescaleIntercept", 0) or 0
    return RAMP * float(slope) + float(intercept)


USED: dict[str, tuple[dict[str, Any], Formula, tuple[float, float]]] = {
    "exact, a half": (window("0.5", "0.5", "LINEAR_EXACT", **UNIT), linear_exact, (0.5, 0.5)),
    "exact, a hundredth": (window("0.25", "0.01", "LINEAR_EXACT", **UNIT), linear_exact, (0.25, 0.01)),
    "exact, below a step": (window("1000.5", "0.1", "LINEAR_EXACT", **NO_RESCALE), linear_exact, (1000.5, 0.1)),
    "exact, one": (window("1000", "1", "LINEAR_EXACT", **NO_RESCALE), linear_exact, (1000, 1)),
    "exact, just below one": (window("0.5", "0.999999", "LINEAR_EXACT", **UNIT), linear_exact, (0.5, 0.999999)),
    "exact, with an exponent": (window("5E-1", "2.5e-1", "LINEAR_EXACT", **UNIT), linear_exact, (0.5, 0.25)),
    "exact, without a leading zero": (window(".5", ".25", "LINEAR_EXACT", **UNIT), linear_exact, (0.5, 0.25)),
    "exact, in small letters": (window("0.5", "0.25", "linear_exact", **UNIT), linear_exact, (0.5, 0.25)),
    "exact, values below zero": (
        window("-0.5", "0.5", "LINEAR_EXACT", RescaleSlope="0.000244140625", RescaleIntercept="-1"),
        linear_exact,
        (-0.5, 0.5),
    ),
    "exact, a negative slope": (
        window("0.5", "0.5", "LINEAR_EXACT", RescaleSlope="-0.000244140625", RescaleIntercept="1"),
        linear_exact,
        (0.5, 0.5),
    ),
    "exact, the second of two": (
        window(["0.1", "0.5"], ["0", "0.5"], "LINEAR_EXACT", **UNIT),
        linear_exact,
        (0.5, 0.5),
    ),
    "sigmoid, a half": (window("0.5", "0.5", "SIGMOID", **UNIT), sigmoid, (0.5, 0.5)),
    "sigmoid, a hundredth": (window("0.5", "0.01", "SIGMOID", **UNIT), sigmoid, (0.5, 0.01)),
    "sigmoid, below a step": (window("1000.5", "0.2", "SIGMOID", **NO_RESCALE), sigmoid, (1000.5, 0.2)),
    "sigmoid, one": (window("1000", "1", "SIGMOID", **NO_RESCALE), sigmoid, (1000, 1)),
    "linear, one": (window("1000", "1", "LINEAR", **NO_RESCALE), linear, (1000, 1)),
    "linear, one, by default": (window("1000.25", "1.0", **NO_RESCALE), linear, (1000.25, 1)),
    "linear, just above one": (window("1000", "1.001", "LINEAR", **NO_RESCALE), linear, (1000, 1.001)),
    "linear, the second of two": (
        window(["0.5", "1000"], ["0.5", "500"], "LINEAR", **NO_RESCALE),
        linear,
        (1000, 500),
    ),
    "linear, the third of three": (
        window(["0.5", "1", "1000"], ["0.5", "-1", "500"], **NO_RESCALE),
        linear,
        (1000, 500),
    ),
    "a function that does not exist, the second of two": (
        window(["0.5", "1000"], ["0.5", "500"], "LOG", **NO_RESCALE),
        linear,
        (1000, 500),
    ),
}
WIDTHS_NOT_USED = {
    "linear, a half": ("0.5", "LINEAR"),
    "linear, a half, by default": ("0.5", None),
    "linear, just below one": ("0.999999", "LINEAR"),
    "linear, zero": ("0", "LINEAR"),
    "linear, below zero": ("-400", None),
    "exact, zero": ("0", "LINEAR_EXACT"),
    "exact, below zero": ("-0.5", "LINEAR_EXACT"),
    "sigmoid, zero": ("0.0", "SIGMOID"),
    "sigmoid, below zero": ("-1", "SIGMOID"),
    "function that does not exist": ("0.5", "LOG"),
    "function that is empty": ("0.5", ""),
}


def read(source: dict[str, Any]) -> tuple[bytes, NDArray[Any]]:
    with warnings.catch_warnings(action="ignore"):
        data = cases.dx_source(**source)
    return data, decode(data).pixels


@pytest.mark.parametrize("polarity", ["MONOCHROME2", "MONOCHROME1"])
@pytest.mark.parametrize("name", USED)
def test_a_window_is_drawn_by_its_formula(name: str, polarity: str) -> None:
    source, formula, (center, width) = USED[name]
    _, shown = read({**source, "PhotometricInterpretation": polarity})
    expected = np.array([formula(value, center, width) for value in values(source).ravel()]).clip(0, 1)
    assert shown.ravel() == pytest.approx(expected if polarity == "MONOCHROME2" else 1 - expected, abs=1e-4)


@pytest.mark.parametrize("name", USED)
def test_the_presentation_state_draws_the_same_and_has_no_linear_window_below_one(name: str, tmp_path: Path) -> None:
    source, shown = read(USED[name][0])
    state, data = state_of(source)
    assert drawn(state, RAMP) == pytest.approx(shown, abs=1e-4)
    voi = state.SoftcopyVOILUTSequence[0]
    if "WindowWidth" in voi and voi.get("VOILUTFunction", "LINEAR") == "LINEAR":
        assert voi.WindowWidth >= 1
    (tmp_path / "state.dcm").write_bytes(data)
    assert not dciodvfy(tmp_path / "state.dcm")


@pytest.mark.parametrize("name", WIDTHS_NOT_USED)
def test_a_window_that_cannot_be_meant_is_none_and_is_said(name: str) -> None:
    width, function = WIDTHS_NOT_USED[name]
    source, shown = read(window("1000", width, function))
    _, without = read(window(None, None))
    assert shown == pytest.approx(without)
    assert any(flag.startswith("WindowWidth") for flag in decode(source).header_flags)
    assert "SoftcopyVOILUTSequence" not in state_of(source)[0]


def test_a_window_below_one_after_a_modality_table() -> None:
    table = Sequence([lut([4096, 0, 16], np.arange(4096) // 2048)])  # outputs of 0 and 1
    source = {**NO_RESCALE, "ModalityLUTSequence": table, **window("0.5", "0.5", "LINEAR_EXACT")}
    data, shown = read(source)
    assert shown == pytest.approx((RAMP >= 2048).astype(float))
    assert drawn(state_of(data)[0], RAMP) == pytest.approx(shown, abs=1e-4)


@pytest.mark.parametrize("name", ["exact, a half", "sigmoid, a half", "linear, one"])
def test_dcmtk_draws_the_presentation_state_as_the_image_was_read(name: str, tmp_path: Path) -> None:
    dcmp2pgm = shutil.which("dcmp2pgm")
    if dcmp2pgm is None:
        pytest.skip("no dcmp2pgm here (Debian: dcmtk)")
    source, shown = read(USED[name][0])
    (result,) = encode(cases.report(), sources={cases.IMAGE_UID: source}, images={}, kinds=frozenset({ObjectKind.GSPS}))
    (tmp_path / "source.dcm").write_bytes(source)
    (tmp_path / "state.dcm").write_bytes(result.data)
    command = [dcmp2pgm, "-p", *(str(tmp_path / one) for one in ("state.dcm", "source.dcm", "drawn.pgm"))]
    subprocess.run(command, capture_output=True, check=True)
    found = np.asarray(PIL.Image.open(BytesIO((tmp_path / "drawn.pgm").read_bytes()))).astype(float)
    assert found == pytest.approx(shown * 255, abs=1.5)
    assert not dcmtk_presentation(tmp_path / "state.dcm")
