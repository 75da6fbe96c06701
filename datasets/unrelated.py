"""Pictures that are no frontal chest radiograph, to test the quality check with: none of them is ever trained on.

Real ones from wherever they are at hand without a download (WG04 DICOM files in a folder, test files of pydicom, the
photographs of scikit-learn where it is installed), and pages and shapes drawn here.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw
from pydicom.data import get_testdata_file

from core.geometry import FloatMap
from datasets.demo.studies import FOLDER
from dicom_node.pixels.decode import decode

_WG04 = {"hip": "RG2_J2KR.dcm", "leg": "RG3_JLSL.dcm", "CT": "CT1_J2KR.dcm", "MR": "MR1_J2KR.dcm"}
_PYDICOM = (
    "693_J2KI.dcm",
    "CT_small.dcm",
    "ExplVR_BigEnd.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "JPEG-lossy.dcm",
    "MR_small.dcm",
    "examples_jpeg2k.dcm",
    "examples_overlay.dcm",
    "examples_palette.dcm",
    "examples_rgb_color.dcm",
    "examples_ybr_color.dcm",
)
_DRAWN = 60


def unrelated(dicom: Path | None) -> dict[str, list[FloatMap]]:
    """Pictures by kind, each float32 0..1, shape (rows, columns). `dicom`: folder of WG04 sample images, if there."""
    kinds = {
        "hip and leg: radiographs (WG04)": _wg04(dicom, "hip", "leg"),
        "CT and MR (WG04)": _wg04(dicom, "CT", "MR"),
        "CT, MR, ultrasound, scintigraphy (test files of pydicom)": [_decoded(path) for path in _of_pydicom()],
        "hand, drawn (demo study)": [_decoded(FOLDER / "hand.dcm")],
        "photographs, whole and in quarters (scikit-learn)": list(_photographs()),
        "shapes, drawn": [_shapes(seed) for seed in range(_DRAWN)],
        "pages of text": [_page(seed) for seed in range(_DRAWN)],
        "white noise": [np.random.default_rng(seed).random((512, 512), np.float32) for seed in range(_DRAWN)],
    }
    return {kind: pictures for kind, pictures in kinds.items() if pictures}


def _wg04(dicom: Path | None, *names: str) -> list[FloatMap]:
    paths = [dicom / _WG04[name] for name in names] if dicom else []
    return [_decoded(path) for path in paths if path.exists()]


def _of_pydicom() -> Iterator[Path]:
    for name in _PYDICOM:
        if isinstance(path := get_testdata_file(name, download=False), str):
            yield Path(path)


def _decoded(path: Path) -> FloatMap:
    return decode(path.read_bytes()).pixels


def _photographs() -> Iterator[FloatMap]:
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        return
    for name in ("china.jpg", "flower.jpg"):
        path = Path(found.origin).parent / "datasets" / "images" / name
        with PillowImage.open(path) as photograph:
            grey = np.asarray(photograph.convert("L"), np.float32) / 255.0
        rows, columns = grey.shape[0] // 2, grey.shape[1] // 2
        yield grey
        for top in (0, rows):
            for left in (0, columns):
                yield grey[top : top + rows, left : left + columns]


def _shapes(seed: int) -> FloatMap:
    random = np.random.default_rng([1, seed])
    picture = PillowImage.new("L", (512, 512), int(random.integers(0, 256)))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(random.integers(1, 8))):
        (left, right), (top, bottom) = (sorted(random.integers(0, 512, 2).tolist()) for _ in range(2))
        draw = (pen.ellipse, pen.rectangle, pen.line)[int(random.integers(0, 3))]
        draw((left, top, right + 1, bottom + 1), fill=int(random.integers(0, 256)))
    return np.asarray(picture, np.float32) / 255.0


def _page(seed: int) -> FloatMap:
    random = np.random.default_rng([2, seed])
    dark = random.random() < 0.3
    picture = PillowImage.new("L", (512, 660), 20 if dark else 245)
    pen = ImageDraw.Draw(picture)
    letters = list("abcdefghijklmnoprstuvwxyz      ")
    for top in range(int(random.integers(20, 80)), 640, int(random.integers(12, 24))):
        line = "".join(random.choice(letters, int(random.integers(10, 80))))
        pen.text((int(random.integers(15, 60)), top), line, fill=230 if dark else 15)
    return np.asarray(picture, np.float32) / 255.0
