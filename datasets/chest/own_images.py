"""Labelled images of one's own: a CSV that names them, a folder that holds such a CSV, or a folder for each finding.

The CSV has a line for each image, with the columns

    file              PNG, JPEG or DICOM; its path, or its path from the folder of the CSV
    truth_FINDING     one for each finding: 1, 0, or empty where it is not known
    patient_id        whose image it is; without it each image is of another patient
    age, sex, view    years; F, M or O; PA or AP; may be empty or missing

in upper or lower case, separated by commas, semicolons or tabs. True, yes and NaN are taken as people export them.

A folder without a CSV holds a folder for each finding, named as the model names it, with images that have it, and one
named `normal` with images that have none of them. Every path is checked before an image is read.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigurationError, InvalidStudy
from datasets.chest.nih_chest import LabelledRadiograph, Target
from datasets.pictures import is_picture, read_8_bits
from dicom_node.files import is_dicom
from dicom_node.pixels.decode import decode
from models.evaluation import AGE_NOT_GIVEN, ANY_SIZE

LIST = "labels.csv"
NORMAL = "normal"
SOURCE = "own images"
_FILE, _TRUTH = "file", "truth_"
_TRUTHS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "yes": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0, "no": 0.0}
_ABSENT = frozenset({"", "nan", "na", "n/a", "none", "null", "unknown"})
_SEXES = {"f": "F", "female": "F", "m": "M", "male": "M", "o": "O", "other": "O"}
_AGE = re.compile(r"(\d{1,3}(?:[.,]\d+)?)(y?)|(\d{3})([mwd])", re.IGNORECASE)  # years, or as DICOM writes them
_A_YEAR = {"m": 12.0, "w": 52.0, "d": 365.0}
_OLDEST = 150
_MOST_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRadiograph(LabelledRadiograph):
    """An image of one's own: a test image of any size."""

    def read(self) -> NDArray[np.uint8]:
        """Grey values, uint8, shape (rows, columns), 0 black .. 255 white; InvalidStudy for a damaged image."""
        try:
            if is_dicom(self.path):
                return np.round(decode(self.path.read_bytes()).pixels * 255).astype(np.uint8)
            return read_8_bits(self.path)
        except InvalidStudy as error:
            raise InvalidStudy(f"{self.name} cannot be evaluated: {error}; take it out of the list") from error


def recognises(root: Path) -> bool:
    """Whether `root` is a CSV of images, a folder with one, or a folder of folders with images."""
    if root.is_file():
        return root.suffix.lower() == ".csv"
    if (root / LIST).is_file():
        return _FILE in _header(root / LIST) and any(name.startswith(_TRUTH) for name in _header(root / LIST))
    return _normal(root) is not None


def load(root: Path) -> tuple[LabelledRadiograph, ...]:
    """The images under `root`; ConfigurationError names the line that is wrong, or what is missing."""
    path = root if root.is_file() else root / LIST
    return tuple(_listed(path) if path.is_file() else _in_folders(root))


def _header(path: Path) -> list[str]:
    return [name.strip().lower() for name in next(iter(_lines(path)), [])]


def _lines(path: Path) -> list[list[str]]:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigurationError(f"{path.name} is too large to be a list of images")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        return list(csv.reader(lines, delimiter=_separator(lines[0]) if lines else ","))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigurationError(f"{path.name} cannot be read as CSV; save it as comma-separated UTF-8") from error


def _separator(header: str) -> str:
    return next((mark for mark in ";\t" if mark in header and "," not in header), ",")


def _listed(path: Path) -> Iterator[LabelledRadiograph]:
    _, *lines = _lines(path) or [[]]
    header = _header(path)
    truths = [name for name in header if name.startswith(_TRUTH) and name != _TRUTH]
    if _FILE not in header or not truths:
        raise ConfigurationError(
            f"{path.name} needs the columns file and truth_FINDING, one for each finding (1, 0 or empty)"
        )
    if any(header.count(name) > 1 for name in header if name):
        raise ConfigurationError(f"the header of {path.name} names a column twice; keep one of them")
    seen: dict[str, int] = {}
    for number, cells in enumerate(lines, 2):
        if any(map(str.strip, cells)):
            if len(cells) != len(header):
                raise _wrong(path, number, f"holds {len(cells)} cells and the header {len(header)}")
            row = dict(zip(header, map(_given, cells), strict=True))
            if row[_FILE] and (first := seen.setdefault(row[_FILE], number)) != number:
                raise _wrong(path, number, f"names the file of line {first:,} again, and would count it twice")
            yield _of_row(path, number, row, truths)
    if not seen:
        raise ConfigurationError(f"{path.name} names no image; below its header it needs a line for each")


def _given(cell: str) -> str:
    """The cell without blanks around it; "" for what pandas or a spreadsheet writes where there is nothing."""
    return "" if cell.strip().lower() in _ABSENT else cell.strip()


def _of_row(path: Path, number: int, row: Mapping[str, str], truths: list[str]) -> LabelledRadiograph:
    image = _image_file(path.parent, row[_FILE])
    if not row[_FILE] or not image.is_file():
        raise _wrong(path, number, "names a file that is not there")
    if not is_dicom(image) and not is_picture(image):
        raise _wrong(path, number, "names a file that is no DICOM, PNG or JPEG")
    known = {name: row[name].lower() for name in truths if row[name]}
    if wrong := [name for name, cell in known.items() if cell not in _TRUTHS]:
        raise _wrong(path, number, f"has a {wrong[0]} that is neither 0 nor 1 nor empty")
    targets = {name.removeprefix(_TRUTH): Target(_TRUTHS[cell], 1.0, "radiologists") for name, cell in known.items()}
    unknown = {name.removeprefix(_TRUTH): Target(0.0, 0.0, "unknown") for name in truths}
    about = {"sex": _sex(path, number, row.get("sex", "")), "view": row.get("view", "").upper()}
    return _image(image, row[_FILE], unknown | targets, {**row, **about}, _age(path, number, row.get("age", "")))


def _image_file(folder: Path, name: str) -> Path:
    """Where a row says its image is; a path with backslashes was written on Windows."""
    return folder / name if (folder / name).exists() else folder / name.replace("\\", "/")


def _sex(path: Path, number: int, text: str) -> str:
    if text and text.lower() not in _SEXES:
        raise _wrong(path, number, "has a sex that is none of F, M and O")
    return _SEXES.get(text.lower(), "")


def _age(path: Path, number: int, text: str) -> int:
    if not text:
        return AGE_NOT_GIVEN
    match = _AGE.fullmatch(text)
    years = _OLDEST + 1.0
    if match:
        count, _, parts, unit = match.groups()
        years = float(count.replace(",", ".")) if count else int(parts) / _A_YEAR[unit.lower()]
    if years > _OLDEST:
        raise _wrong(path, number, f"has an age that is no number from 0 to {_OLDEST}")
    return int(years)


def _wrong(path: Path, number: int, words: str) -> ConfigurationError:
    return ConfigurationError(f"{path.name}, line {number:,} {words}; correct it or leave the line out")


def _normal(root: Path) -> Path | None:
    return next((folder for folder in root.iterdir() if folder.is_dir() and folder.name.lower() == NORMAL), None)


def _in_folders(root: Path) -> Iterator[LabelledRadiograph]:
    folders = {folder.name.lower(): folder for folder in sorted(root.iterdir()) if folder.is_dir()}
    findings = sorted(folders.keys() - {NORMAL})
    for name in (*findings, NORMAL):
        for path in sorted(path for path in folders[name].rglob("*") if path.is_file()):
            if is_dicom(path) or is_picture(path):
                has_none = {finding: Target(0.0, 1.0, "radiologists") for finding in findings}
                others = {finding: Target(0.0, 0.0, "unknown") for finding in findings}
                has_one = others | {name: Target(1.0, 1.0, "radiologists")}
                yield _image(
                    path, str(path.relative_to(root)), has_none if name == NORMAL else has_one, {}, AGE_NOT_GIVEN
                )


def _image(
    path: Path, name: str, targets: Mapping[str, Target], row: Mapping[str, str], age_years: int
) -> LabelledRadiograph:
    return OwnRadiograph(
        name=name,
        path=path,
        tier=ANY_SIZE,
        patient=row.get("patient_id", "") or name,
        age_years=age_years,
        sex=row.get("sex", ""),
        view=row.get("view", ""),
        split="test",
        rsna_class="",
        targets=targets,
        source=SOURCE,
    )
