"""Images that are no DICOM, PNG and JPEG, wrapped so that they go through the whole pipeline like any other.

A picture has no header: who it is of, the view and the age are not known. It is called what the model accepts, and the
patient has no ID, which the report says.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage

from core.errors import InvalidStudy
from datasets.dx import MadeUpPatient, Pixels, wrap_as_dx

_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
_MOST_PIXELS = 100_000_000
_SIXTEEN_BITS = frozenset({"I;16", "I;16B", "I;16L", "I"})
_NOT_KNOWN = MadeUpPatient(patient_id="", patient_name="")


def is_picture(path: Path) -> bool:
    """Whether the file begins as a PNG or JPEG does; False also when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(8).startswith(_MAGIC)
    except OSError:
        return False


def read_picture(path: Path) -> Pixels:
    """The grey values of a PNG or JPEG, uint8 or uint16, shape (rows, columns), 0 black; InvalidStudy without any."""
    try:
        with PillowImage.open(path, formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise InvalidStudy(f"the picture has more than {_MOST_PIXELS:,} pixels")
            if picture.mode in _SIXTEEN_BITS:
                return np.asarray(picture).astype(np.uint16)
            return np.asarray(picture.convert("L"))
    except (OSError, ValueError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise InvalidStudy("the picture is damaged, or no PNG or JPEG") from error


def read_8_bits(path: Path) -> NDArray[np.uint8]:
    """As `read_picture`, uint8: 65,535 of a picture of 16 bits is 255."""
    pixels = read_picture(path)
    return np.round(pixels / 257.0).astype(np.uint8) if pixels.dtype == np.uint16 else pixels.astype(np.uint8)


def wrap_picture(path: Path, folder: Path, modality: str, body_part: str, view: str) -> Path:
    """Write the picture as a DX object into `folder`, with this modality, body part and view; returns its path.

    The same bytes make the same object. Raises InvalidStudy for a picture that cannot be read.
    """
    pixels = read_picture(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    dataset = wrap_as_dx(pixels, name=f"picture/{digest}", patient=_NOT_KNOWN, study_date="")
    for keyword, value in (("Modality", modality), ("BodyPartExamined", body_part), ("ViewPosition", view)):
        setattr(dataset, keyword, value)
    for keyword in (
        "AnatomicRegionSequence",
        "ViewCodeSequence",
        "ImagerPixelSpacing",
        "AcquisitionDate",
        "AcquisitionTime",
    ):
        delattr(dataset, keyword)
    dataset.ManufacturerModelName = "candor analyze"
    dataset.DerivationDescription = "A picture without a header, wrapped by Candor"
    folder.mkdir(exist_ok=True)
    target = folder / f"{digest}.dcm"
    dataset.save_as(target, enforce_file_format=True)
    return target
