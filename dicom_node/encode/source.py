"""The header of a source image, cleaned: what the results copy from it, and nothing that is not valid.

Scanners write ages of "81", dates of "0000-00-00" and spacings of zero. The results must carry the same patient
and study as the source, yet must not repeat what is malformed. So the header is read without its pixels, each
attribute is decoded by hand (pydicom would print raw values in its warnings) and kept only when it is valid for
its value representation. Who the patient is and which order it was are the exception: they are kept as they are,
because a PACS matches on them.

The texts of patient and study leave here as the bytes that were sent, with the source's Specific Character Set: what is
decoded and encoded again is another name to some PACS (PS3.5 6.1.2.5 has several ways to write one). `in_utf_8` gives
the same header decoded, for a result that has words of ours outside ASCII.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO

from pydicom import config, dcmread
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.tag import Tag
from pydicom.valuerep import PN_DELIMS, TEXT_VR_DELIMS, format_number_as_ds, validate_value

from core.domain.study import Instance, Study
from core.errors import InvalidStudy
from dicom_node.encode.space import GROUPS, space_of_single_frame
from dicom_node.header.character_sets import UNKNOWN, decode_text, encodings_of
from dicom_node.header.values import Values
from dicom_node.pixels.decode import shutter_of
from dicom_node.pixels.grayscale import windows_of
from dicom_node.pixels.presentation import SHUTTER, put_bitmap_shutter
from dicom_node.sop_classes import is_uid

PATIENT_AND_STUDY = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "TimezoneOffsetFromUTC",
)
_ANATOMY = ("BodyPartExamined", "Laterality", "ImageLaterality", "PatientOrientation")
_IMAGE = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "PhotometricInterpretation",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "PixelAspectRatio",
    "RescaleType",
    "PresentationLUTShape",
    *SHUTTER,
)
_SPACE = ("FrameOfReferenceUID", "ImagePositionPatient", "ImageOrientationPatient", "SliceThickness")
_GRAYSCALE = ("RescaleIntercept", "RescaleSlope", "WindowCenter", "WindowWidth", "VOILUTFunction")
_COUNTS = ("Rows", "Columns", "BitsStored", "PixelRepresentation")
_TABLES = ("ModalityLUTSequence", "VOILUTSequence")

_IDENTITY = {"PatientName", "PatientID", "IssuerOfPatientID", "AccessionNumber"}
_TYPE_2 = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
_ENUMERATED = {
    "PatientSex": {"M", "F", "O"},
    "PatientIdentityRemoved": {"YES", "NO"},
    "Laterality": {"R", "L"},
    "ImageLaterality": {"R", "L", "U", "B"},
    "LossyImageCompression": {"00", "01"},
    "PresentationLUTShape": {"IDENTITY", "INVERSE"},
}
_POSITIVE = {"PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio", "SliceThickness"}
_PATTERNS = {"DA": "%Y%m%d", "TimezoneOffsetFromUTC": "%z"}
_NUMBER_OF_VALUES = {
    "PatientOrientation": 2,
    "PixelSpacing": 2,
    "ImagerPixelSpacing": 2,
    "PixelAspectRatio": 2,
    "ImagePositionPatient": 3,
    "ImageOrientationPatient": 6,
    "CenterOfCircularShutter": 2,
}
_TEXT_VRS = {"LO", "SH", "ST", "LT", "UT", "PN"}
_AS_SENT = tuple(k for k in PATIENT_AND_STUDY if dictionary_VR(k) in _TEXT_VRS and k not in _PATTERNS)
_CHARACTER_SET = Tag("SpecificCharacterSet")
_UTF_8 = b"ISO_IR 192"
_LONGEST_INTEGER = 10**15
_LONGEST_VALUE = 0xFFFE  # bytes: the length of these VRs has 16 bits (PS3.5 7.1.2)


def read_source(part10: bytes) -> Dataset:
    """Read the cleaned header of one Part 10 file: only known attributes, each valid, type 2 ones present.

    Raises nothing for malformed values; pydicom's InvalidDicomError when `part10` is not a DICOM file at all.
    """
    image = (*_ANATOMY, *_IMAGE, *_GRAYSCALE, *_SPACE, *_COUNTS, *_TABLES, *GROUPS)
    keywords = (*PATIENT_AND_STUDY, *image, "SpecificCharacterSet")
    raw = dcmread(BytesIO(part10), stop_before_pixels=True, specific_tags=list(keywords))
    clean = Dataset()
    _put_bytes(clean, "SpecificCharacterSet", _sent_bytes(raw, "SpecificCharacterSet"))
    for keyword in (*PATIENT_AND_STUDY, *_ANATOMY, *_IMAGE, *_SPACE):
        if keyword in _AS_SENT:
            _keep_as_sent(clean, raw, keyword)
        else:
            keep(clean, keyword, _decoded(raw, keyword))
    for keyword, text in space_of_single_frame(raw).items():
        keep(clean, keyword, text)
    _keep_grayscale(clean, raw)
    for keyword in _COUNTS:
        _keep_count(clean, raw, keyword)
    for keyword in _TABLES:
        _keep_tables(clean, raw, keyword)
    if "BITMAP" in str(clean.get("ShutterShape", "")):
        _keep_bitmap_shutter(clean, part10)
    return _completed(clean)


def describe_study(study: Study, instance: Instance | None) -> Dataset:
    """The same kind of header made from what the store knows, for when no source bytes are at hand."""
    patient = study.patient
    values: Mapping[str, str] = {
        "PatientName": patient.patient_name,
        "PatientID": patient.patient_id,
        "IssuerOfPatientID": patient.issuer_of_patient_id,
        "PatientBirthDate": patient.patient_birth_date.strftime("%Y%m%d") if patient.patient_birth_date else "",
        "PatientSex": patient.patient_sex,
        "StudyInstanceUID": study.study_instance_uid,
        "StudyDate": study.study_date.strftime("%Y%m%d") if study.study_date else "",
        "AccessionNumber": study.accession_number,
    }
    clean = Dataset()
    _put_bytes(clean, "SpecificCharacterSet", _UTF_8)
    for keyword, value in values.items():
        keep(clean, keyword, value)
    if instance:
        for keyword, name in _FIELDS.items():
            keep(clean, keyword, getattr(instance, name))
        clean.Rows, clean.Columns = instance.rows, instance.columns
    return _completed(clean)


_FIELDS = {
    "SOPClassUID": "sop_class_uid",
    "SOPInstanceUID": "sop_instance_uid",
    "SeriesInstanceUID": "series_instance_uid",
    "Modality": "modality",
}


def without_identity(source: Dataset) -> Dataset:
    """A copy for libraries that print names in their warnings: the type 2 attributes of the patient are empty."""
    nameless = Dataset()
    identity = {Tag(keyword) for keyword in (*PATIENT_AND_STUDY, "SpecificCharacterSet")}
    nameless.update({tag: source[tag] for tag in source.keys() - identity})
    nameless.StudyInstanceUID = source.get("StudyInstanceUID")
    return _completed(nameless)


def declared_character_set(source: Dataset) -> bytes:
    """The value of Specific Character Set that a header's texts are in; empty for none."""
    return _sent_bytes(source, "SpecificCharacterSet")


def in_utf_8(source: Dataset) -> Dataset | None:
    """The texts of patient and study in UTF-8; None where some bytes do not fit the declared character set."""
    decoded = Dataset()
    _put_bytes(decoded, "SpecificCharacterSet", _UTF_8)
    for keyword in PATIENT_AND_STUDY:
        element = source.get_item(keyword)
        if isinstance(element, RawDataElement) and element.value:
            text = _decoded(source, keyword)
            if UNKNOWN in text:
                return None
            _put_bytes(decoded, keyword, text.encode())
        elif element is not None:
            decoded[keyword] = element
    return decoded


def _keep_as_sent(clean: Dataset, raw: Dataset, keyword: str) -> None:
    """Put the bytes of a text under `keyword`, by the same rule as `keep`."""
    text, sent = _decoded(raw, keyword).strip(" \0"), _sent_bytes(raw, keyword)
    if text and len(sent) <= _LONGEST_VALUE and (keyword in _IDENTITY or _is_valid(keyword, text)):
        _put_bytes(clean, keyword, sent)


def _sent_bytes(raw: Dataset, keyword: str) -> bytes:
    """The value as it was sent; empty when absent."""
    element = raw.get_item(keyword)
    if element is None or not element.value:
        return b""
    if isinstance(element, RawDataElement):
        return bytes(element.value)
    values = [element.value] if isinstance(element.value, str) else element.value
    return "\\".join(values).encode("iso8859")  # pydicom reads the Specific Character Set with the file


def _put_bytes(clean: Dataset, keyword: str, value: bytes) -> None:
    """Give an element its encoded value: pydicom writes it as it is, unless somebody reads it first."""
    padded = value + b" " * (len(value) % 2)
    clean[keyword] = RawDataElement(Tag(keyword), dictionary_VR(keyword), len(padded), padded, 0, False, True)


def with_identity(header: Dataset, identity: Dataset) -> Dataset:
    """`header` with patient and study, and their character set, of `identity`."""
    for keyword in ("SpecificCharacterSet", *PATIENT_AND_STUDY):
        header.pop(keyword, None)
        if keyword in identity:
            header[keyword] = identity.get_item(keyword)
    return header


def keep(clean: Dataset, keyword: str, text: str) -> None:
    """Put `text` under `keyword` when it is valid there; leave the attribute out when it is not."""
    text = _mended(keyword, text.strip(" \0"))
    if text and (keyword in _IDENTITY or _is_valid(keyword, text)):
        # validated above, or identity that is repeated as it came: no second check that would print the value
        clean.add(DataElement(keyword, dictionary_VR(keyword), text, validation_mode=config.IGNORE))


def _mended(keyword: str, text: str) -> str:
    """A value that is malformed and can only be meant one way, as PS3.5 6.2 writes it; any other as it is."""
    vr = dictionary_VR(keyword)
    if vr == "AS" and (age := re.fullmatch(r"(\d{1,4})\s*([DWMY])", text.upper())):
        return f"{int(age[1]):03d}{age[2]}"
    if vr == "DA" and (day := re.fullmatch(r"(\d{4})[.-](\d\d)[.-](\d\d)", text)):
        return "".join(day.groups())
    if vr == "TM" and (time := re.fullmatch(r"(\d{1,2}):(\d\d)(?::(\d\d(?:\.\d{1,6})?))?", text)):
        return f"{int(time[1]):02d}{time[2]}{time[3] or ''}"
    return text.upper() if keyword == "PatientSex" else text


def _decoded(raw: Dataset, keyword: str) -> str:
    """The text of an element as it was sent, multiple values still joined by backslashes; "" when absent."""
    element = raw.get_item(tag_for_keyword(keyword) or 0)
    if not isinstance(element, RawDataElement) or not element.value:
        return ""
    value, vr = element.value, dictionary_VR(keyword)
    if vr not in _TEXT_VRS:
        return bytes(value).decode("ascii", errors="replace")
    delimiters = PN_DELIMS if vr == "PN" else TEXT_VR_DELIMS
    return _printable(decode_text(bytes(value), _encodings(raw), set(delimiters)))


def _encodings(raw: Dataset) -> list[str]:
    declared = declared_character_set(raw).decode("ascii", errors="replace").strip(" \0")
    return encodings_of([term.strip() for term in declared.split("\\")])[0]


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


def _is_valid(keyword: str, text: str) -> bool:
    vr = dictionary_VR(keyword)
    values = text.split("\\")
    count = _NUMBER_OF_VALUES.get(keyword)
    if count is not None and len(values) != count:
        return False
    if count is None and len(values) > 1 and dictionary_VM(keyword) == "1":
        return False
    return all(_is_valid_value(keyword, vr, value.strip()) for value in values)


def _is_valid_value(keyword: str, vr: str, value: str) -> bool:
    if keyword in _ENUMERATED:
        return value in _ENUMERATED[keyword]
    if vr == "UI":
        return is_uid(value)
    try:
        validate_value(vr, value, config.RAISE)
        if pattern := _PATTERNS.get(keyword) or _PATTERNS.get(vr):
            datetime.strptime(value, pattern)
        if vr in {"DS", "IS"}:
            number = float(value)
            return math.isfinite(number) and (number > 0 or keyword not in _POSITIVE)
    except ValueError:
        return False
    return bool(value)


def _keep_grayscale(clean: Dataset, raw: Dataset) -> None:
    """Copy the rescale and the one window that the image is read with."""
    values = Values(raw)
    if values.text("RescaleSlope") or values.text("RescaleIntercept"):
        clean.RescaleSlope = _decimal(values.number("RescaleSlope") or 1.0)
        clean.RescaleIntercept = _decimal(values.number("RescaleIntercept") or 0.0)
    if (window := next(filter(None, windows_of(values)), None)) is not None:
        clean.WindowCenter, clean.WindowWidth = _decimal(window.center), _decimal(window.width)
        if values.text("VOILUTFunction"):
            clean.VOILUTFunction = window.function


def _decimal(number: float) -> str:
    """A number in the 16 characters of a DS."""
    return f"{number:.0f}" if number.is_integer() and abs(number) < _LONGEST_INTEGER else format_number_as_ds(number)


def _keep_count(clean: Dataset, raw: Dataset, keyword: str) -> None:
    try:
        value = raw[keyword].value
    except (KeyError, ValueError):
        return
    if isinstance(value, int):
        setattr(clean, keyword, value)


def _keep_tables(clean: Dataset, raw: Dataset, keyword: str) -> None:
    """Copy a LUT sequence, its US-or-SS elements resolved against the image they come from."""
    if keyword not in raw:
        return
    try:
        items = raw[keyword].value
        for item in items:
            item.PixelRepresentation = clean.get("PixelRepresentation", 0)
            correct_ambiguous_vr(item, is_little_endian=True)
            del item.PixelRepresentation
        if items and all("LUTDescriptor" in item and "LUTData" in item for item in items):
            setattr(clean, keyword, items)
    except (AttributeError, ValueError, TypeError):
        return  # a table that cannot be read is one that no viewer could apply either


def _keep_bitmap_shutter(clean: Dataset, part10: bytes) -> None:
    """Put all that the shutter hides into one overlay: a presentation state has shapes or a bitmap, not both."""
    try:
        hidden = shutter_of(part10)
    except InvalidStudy:
        return
    if hidden is not None:
        put_bitmap_shutter(clean, hidden)


def _completed(clean: Dataset) -> Dataset:
    for keyword in _TYPE_2:
        if keyword not in clean:
            setattr(clean, keyword, None)
    if clean.get("PatientIdentityRemoved") == "YES" and "DeidentificationMethod" not in clean:
        del clean.PatientIdentityRemoved  # PS3.3 C.7.1.1: type 1C, the method must come with it
    if not all(keyword in clean for keyword in (*_SPACE, "PixelSpacing")):
        for keyword in _SPACE:
            clean.pop(keyword, None)  # a position without its orientation is worse than none
    return clean
