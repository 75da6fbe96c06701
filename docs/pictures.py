"""Write the pictures of the documents, as the code makes them today: `python docs/pictures.py [--check]`.

docs/pictures/summary-512.jpg and summary-3000.jpg are the summary that the PACS gets of the demo's opacity, sent as
512 x 512 and as 3000 x 3000 pixels. `--check` writes nothing: it names what differs and ends with 1. The pictures of
a viewer there are written and checked by tests/ohif, which needs a PACS and a browser.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image as Picture

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
SIDES = (512, 3000)
_QUALITY = 85
_SAME_MEAN = 2.0  # of 255: JPEG and the last digits of a map; another region or another film is far more
_BLOCK, _SAME_BLOCK = 16, 40.0  # a letter of another word changes its block by more
_FEW_BLOCKS = 0.002  # of all: a bend of an outline, not a word


def pictures() -> dict[str, bytes]:
    """Each summary as JPEG by its file name."""
    with tempfile.TemporaryDirectory(prefix="candor-pictures-") as folder:
        return {f"summary-{side}.jpg": jpeg_of(_summary(side, Path(folder) / str(side))) for side in SIDES}


def jpeg_of(picture: Picture.Image) -> bytes:
    """A picture as the documents keep it."""
    file = BytesIO()
    picture.convert("RGB").save(file, "JPEG", quality=_QUALITY, optimize=True)
    return file.getvalue()


def differences(found: dict[str, bytes]) -> list[str]:
    """One line for each picture that is not what the code makes."""
    return [
        f"docs/pictures/{name}: the picture is not what the code makes; run: python docs/pictures.py"
        for name, data in found.items()
        if not (PICTURES / name).exists() or not is_close((PICTURES / name).read_bytes(), data)
    ]


def is_close(before: bytes, after: bytes) -> bool:
    """Whether two pictures show the same: equal size, hardly different on the whole, and no word that was changed."""
    one, other = (np.asarray(Picture.open(BytesIO(data)).convert("L"), np.float64) for data in (before, after))
    if one.shape != other.shape:
        return False
    apart = np.abs(one - other)
    rows, columns = (length // _BLOCK for length in apart.shape)
    blocks = apart[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK).mean(axis=(1, 3))
    return bool(apart.mean() < _SAME_MEAN and (blocks > _SAME_BLOCK).mean() < _FEW_BLOCKS)


def main(arguments: list[str]) -> int:
    """Rewrite the pictures, or with `--check` say which differ."""
    if arguments not in ([], ["--check"]):
        print("usage: python docs/pictures.py [--check]", file=sys.stderr)  # noqa: T201
        return 2
    found = pictures()
    if not arguments:
        PICTURES.mkdir(exist_ok=True)
        for name, data in found.items():
            (PICTURES / name).write_bytes(data)
        return 0
    wrong = differences(found)
    print("\n".join(wrong or ["every picture is what the code makes"]))  # noqa: T201
    return 1 if wrong else 0


def _summary(side: int, folder: Path) -> Picture.Image:
    """The summary of the demo's opacity, read as an image of `side` x `side` pixels."""
    folder.mkdir()
    _opacity(side).save_as(folder / "opacity.dcm", enforce_file_format=True)
    command = [sys.executable, "-P", "-m", "api", "analyze", str(folder / "opacity.dcm"), "--out", str(folder / "out")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CANDOR_")}
    subprocess.run([*command, "--objects", "sc"], env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)  # noqa: S603
    (file,) = (folder / "out").rglob("*.dcm")
    return Picture.fromarray(pydicom.dcmread(file).pixel_array)


def _opacity(side: int) -> pydicom.Dataset:
    """The demo study, its pixels resampled to `side` x `side`."""
    from datasets.demo.studies import FOLDER

    source = pydicom.dcmread(FOLDER / "opacity.dcm")
    source.decompress()
    before = source.Rows
    if side != before:
        resampled = Picture.fromarray(source.pixel_array).resize((side, side), Picture.Resampling.BICUBIC)
        source.PixelData = resampled.tobytes()
        source.Rows = source.Columns = side
        source.ImagerPixelSpacing = [round(float(mm) * before / side, 4) for mm in source.ImagerPixelSpacing]
    return source


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
