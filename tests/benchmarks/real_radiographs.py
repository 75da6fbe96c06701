"""Real chest radiographs of ../shared, wrapped as DX objects; none when the folder is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.e2e.studies import Radiograph, radiograph_of

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "nih_chest" / "images_512"


def real_radiographs(count: int) -> list[Radiograph]:
    """The first `count` images of the 512 px tier, each as a study of its own."""
    files = sorted(FOLDER.glob("*.jpg"))[:count] if FOLDER.exists() else []
    return [radiograph_of(number, np.asarray(Image.open(file).convert("L"))) for number, file in enumerate(files)]
