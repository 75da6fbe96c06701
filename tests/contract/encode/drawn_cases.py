"""Made-up radiographs with a bright patch, in every shape and orientation, read by a model whose answer is known.

For the tests of where things are drawn: `drawn` decodes, infers, explains and encodes as the pipeline does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from scipy import ndimage

from core.domain.explanation import Saliency
from core.domain.input import ModelInput
from core.domain.model import OperatingPoint, Prediction
from core.domain.report import Finding, ObjectKind, ResultObject
from core.geometry import FloatMap
from dicom_node.encode import encode
from dicom_node.pixels.decode import decode
from explain.maps.class_activation import explain
from inference.run import infer
from models.package.format import load_package
from models.runtimes.onnx import OnnxModel
from tests.contract.encode.cases import IMAGE_UID, dx_source, report, study
from tests.known_model import make_known_model

WHITE = 4095
Mask = NDArray[np.bool_]
# rotations by quarter turns, without and with a flip: the eight ways an image can lie in its matrix; a radiograph
# that is not flipped has the patient's left at the right edge
ORIENTATIONS = {
    (0, False): ["L", "F"],
    (1, False): ["F", "R"],
    (2, False): ["R", "H"],
    (3, False): ["H", "L"],
    (0, True): ["R", "F"],
    (1, True): ["F", "L"],
    (2, True): ["L", "H"],
    (3, True): ["H", "R"],
}


@dataclass(frozen=True)
class Picture:
    """A radiograph by its shape: pixels 0..1, spacing of rows and columns in mm, and what its header says."""

    pixels: FloatMap
    spacing: tuple[float, float] = (0.2, 0.2)
    header: tuple[tuple[str, Any], ...] = ()

    @property
    def part10(self) -> bytes:
        """The radiograph as a DX."""
        facts = dict(self.header)
        stored = np.round(self.pixels * WHITE).astype("<u2")
        if facts.get("PhotometricInterpretation") == "MONOCHROME1":
            stored = (WHITE - stored).astype("<u2")
        spacing = {"ImagerPixelSpacing": list(self.spacing)}
        dataset = pydicom.dcmread(BytesIO(dx_source(*self.pixels.shape, **{**spacing, **facts})))
        dataset.PixelData = stored.tobytes()
        buffer = BytesIO()
        dataset.save_as(buffer)
        return buffer.getvalue()


def picture(rows: int = 384, columns: int = 320, *, seed: int = 0) -> FloatMap:
    """A dim field with one bright patch off every centre line, shape (rows, columns), 0..1."""
    pixels = np.random.default_rng(seed).uniform(0.15, 0.25, (rows, columns)).astype(np.float32)
    pixels[rows // 8 : rows // 8 + rows // 2, columns // 3 : columns // 3 + columns // 2] = 0.95
    pixels[0, :2] = 0.0, 1.0  # so that the window is the same however it is turned
    return pixels


def turned(pixels: NDArray[Any], quarters: int, flipped: bool) -> NDArray[Any]:
    """Quarter turns counterclockwise, then exchanged left for right."""
    turned_pixels = np.rot90(pixels, quarters)
    return np.ascontiguousarray(np.fliplr(turned_pixels) if flipped else turned_pixels)


def pictures() -> dict[str, Picture]:
    """By name: both polarities, pixels that are not square, wide, tall, cropped, padded, every orientation."""
    plain = picture()
    padded = np.zeros((512, 640), np.float32)
    padded[40:424, 300:620] = plain
    found = {
        "monochrome2": Picture(plain),
        "monochrome1": Picture(plain, header=(("PhotometricInterpretation", "MONOCHROME1"),)),
        "tall_pixels": Picture(plain, (0.4, 0.2)),
        "wide_pixels": Picture(plain, (0.2, 0.4)),
        "odd_spacing": Picture(plain, (0.143, 0.2)),
        "wide": Picture(picture(160, 480)),
        "tall": Picture(picture(500, 140)),
        "large": Picture(picture(1501, 1203)),
        "cropped": Picture(np.ascontiguousarray(plain[17:, 33:])),
        "padded": Picture(padded),
    }
    for (quarters, flipped), orientation in ORIENTATIONS.items():
        spacing = (0.2, 0.3) if quarters % 2 == 0 else (0.3, 0.2)
        name = f"orientation_{'_'.join(orientation)}"
        found[name] = Picture(turned(plain, quarters, flipped), spacing, (("PatientOrientation", orientation),))
    return found


@dataclass(frozen=True)
class Drawn:
    """What came of a picture: its bytes, what the model said, the map, the objects."""

    part10: bytes
    prediction: Prediction
    saliency: Saliency
    objects: dict[ObjectKind, ResultObject]


def drawn(shown: Picture, kinds: tuple[ObjectKind, ...]) -> Drawn:
    """Decode, infer, explain, encode."""
    part10 = shown.part10
    what = ModelInput.of(study().instances[0])
    prediction = infer(_model(), what, [decode(part10)])
    (definition,) = prediction.model.findings
    (saliency,) = explain(prediction, what, definition.name)
    point = OperatingPoint(threshold=0.5, sensitivity=1.0, specificity=1.0)
    finding = Finding(name=definition.name, code=definition.code, probability=0.9, score=1.0, operating_point=point)
    of = report(model=prediction.model, findings=(finding,), saliencies=(saliency,), cohorts=())
    results = encode(of, {IMAGE_UID: part10}, {IMAGE_UID: decode(part10)}, kinds)
    return Drawn(part10, prediction, saliency, {result.kind: result for result in results})


def where_the_map_says(prediction: Prediction) -> tuple[FloatMap, Mask]:
    """The map in source pixels and its upper half, from first principles and without core.geometry's resampling.

    The centre of each source pixel is put into the square by its spacing, and the model's grid is read there.
    """
    assert prediction.maps is not None
    frame, grid = prediction.frame, prediction.maps[0]
    down = (frame.side - frame.height) // 2 + (np.arange(frame.rows) + 0.5) * frame.height / frame.rows
    across = (frame.side - frame.width) // 2 + (np.arange(frame.columns) + 0.5) * frame.width / frame.columns
    at = np.meshgrid(down * grid.shape[0] / frame.side - 0.5, across * grid.shape[1] / frame.side - 0.5, indexing="ij")
    values = ndimage.map_coordinates(grid, at, order=1, mode="nearest")
    scaled = ((values - values.min()) / np.ptp(values)).astype(np.float32)
    return scaled, scaled >= 0.5


@cache
def _model() -> OnnxModel:
    with TemporaryDirectory() as folder:
        return OnnxModel.load(load_package(make_known_model(Path(folder))), threads=1)
