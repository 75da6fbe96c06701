"""Read a header into our nouns, tolerantly: what is malformed becomes None or "" and a flag, never an exception.

Real headers hold "abc" in a decimal string and "81" as an age. Values are taken from the raw bytes and parsed here,
so that pydicom's converters, which raise and quote, never see them. A flag names the keyword, never the value.
"""

from __future__ import annotations

import io
import math
import mmap
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, cast

from pydicom import dcmread
from pydicom.dataset import Dataset

from core.domain.study import Instance, Patient
from core.errors import InvalidStudy
from dicom_node.header.age import patient_age
from dicom_node.header.checks import check_structure
from dicom_node.header.coded import body_part_of, view_of
from dicom_node.header.elements import Buffer
from dicom_node.header.part10 import layout_of
from dicom_node.header.spacing import read_spacing
from dicom_node.header.values import Values

EMPTY_PATIENT_ID = "PatientID is empty"
_VIEWS_IN_WORDS = frozenset(
    {"PA", "AP", "LL", "RL", "LAO", "RAO", "LPO", "RPO"}
)  # terms of ViewPosition (PS3.3 C.8.1.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyAttributes:
    """What an instance says of the study it belongs to."""

    accession_number: str = field(default="", repr=False)
    study_date: date | None = None
    expected_instances: int | None = None  # NumberOfStudyRelatedInstances


def read_header(data: bytes | Path) -> Dataset:
    """Read a Part 10 file up to its pixel data, after checking its structure; `file_meta` is filled in.

    A path is mapped, not loaded: reading the header of a 1 GB file costs a few pages. Raises InvalidStudy when it
    is not a DICOM file, is truncated before the pixel data, or nests sequences without end.
    """
    if isinstance(data, bytes):
        return _read(data)
    with data.open("rb") as file:
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise InvalidStudy("the file is empty") from None
        with mapped:
            return _read(mapped)


def _read(part10: Buffer) -> Dataset:
    layout = layout_of(part10)
    header_end = check_structure(part10, layout.transfer_syntax_uid, start=layout.data_set_start)
    return parse_header(bytes(part10[:header_end]))


def parse_header(part10: bytes) -> Dataset:
    """Parse a Part 10 header whose structure was checked before; raises InvalidStudy when it still cannot be read."""
    try:
        return dcmread(io.BytesIO(part10), stop_before_pixels=True)
    except Exception as error:  # boundary: hostile bytes may break the parser in any way
        raise InvalidStudy("the data set cannot be read") from error


def to_instance(header: Dataset, *, object_key: str = "", size_bytes: int = 0) -> Instance:
    """What the header says of the instance; malformed elements are empty and named in `header_flags`."""
    values = Values(header)
    meta = getattr(header, "file_meta", None) or Dataset()
    age, is_age_unreadable = patient_age(values)
    region, view = body_part_of(header), view_of(header)
    acquired_at = values.moment("AcquisitionDateTime") or values.date_and_time("Acquisition", "Content", "Study")
    return Instance(
        sop_instance_uid=values.text("SOPInstanceUID"),
        sop_class_uid=values.text("SOPClassUID"),
        series_instance_uid=values.text("SeriesInstanceUID"),
        study_instance_uid=values.text("StudyInstanceUID"),
        transfer_syntax_uid=Values(meta).text("TransferSyntaxUID"),
        modality=values.text("Modality"),
        body_part_examined=values.text("BodyPartExamined") or region,
        view_position=values.text("ViewPosition") or (view if view in _VIEWS_IN_WORDS else ""),
        image_laterality=values.text("ImageLaterality") or values.text("Laterality"),
        patient_orientation=values.texts("PatientOrientation"),
        photometric_interpretation=values.text("PhotometricInterpretation"),
        presentation_intent_type=values.text("PresentationIntentType"),
        image_type=values.texts("ImageType"),
        burned_in_annotation=values.text("BurnedInAnnotation"),
        rows=values.integer("Rows") or 0,
        columns=values.integer("Columns") or 0,
        number_of_frames=values.integer("NumberOfFrames") or 1,
        instance_number=values.integer("InstanceNumber"),
        acquired_at=acquired_at,
        series_description=values.text("SeriesDescription"),
        study_description=values.text("StudyDescription"),
        protocol_name=values.text("ProtocolName"),
        acquisition_device_processing_description=values.text("AcquisitionDeviceProcessingDescription"),
        manufacturer=values.text("Manufacturer"),
        manufacturer_model_name=values.text("ManufacturerModelName"),
        station_name=values.text("StationName"),
        institution_name=values.text("InstitutionName"),
        software_versions=", ".join(values.texts("SoftwareVersions")),
        kvp=values.number("KVP"),
        patient_age_years=age,
        is_age_unreadable=is_age_unreadable,
        anatomic_region=region,
        view_code=view,
        frame_of_reference_uid=values.text("FrameOfReferenceUID"),
        image_position_patient=_numbers(header, "ImagePositionPatient", 3),
        image_orientation_patient=_numbers(header, "ImageOrientationPatient", 6),
        pixel_spacing=_numbers(header, "PixelSpacing", 2),
        header_flags=_flags(values),
        object_key=object_key,
        size_bytes=size_bytes,
    )


def to_patient(header: Dataset) -> Patient:
    """Who the images are of; malformed elements are empty (`to_instance` flags them)."""
    values = Values(header)
    return Patient(
        patient_id=values.text("PatientID"),
        patient_name=values.text("PatientName"),
        patient_birth_date=values.day("PatientBirthDate"),
        patient_sex=_sex(values),
        issuer_of_patient_id=values.text("IssuerOfPatientID"),
        ethnic_group=values.text("EthnicGroup"),
    )


def to_study_attributes(header: Dataset) -> StudyAttributes:
    """What the header says of its study; malformed elements are empty."""
    values = Values(header)
    expected = values.integer("NumberOfStudyRelatedInstances")
    return StudyAttributes(
        accession_number=values.text("AccessionNumber"),
        study_date=values.day("StudyDate"),
        expected_instances=expected if expected and expected > 0 else None,
    )


def _numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    """The values where there are as many as there must be, else none; what needs them says that they are missing."""
    found = tuple(Values(header).numbers(keyword))
    return found if len(found) == count and all(math.isfinite(number) for number in found) else ()


def _sex(values: Values) -> Literal["M", "F", "O", ""]:
    sex = values.text("PatientSex").upper()
    if sex in ("M", "F", "O", ""):
        return cast(Literal["M", "F", "O", ""], sex)
    values.flag("PatientSex", "CS of M, F or O")
    return ""


def _flags(values: Values) -> tuple[str, ...]:
    """All that was malformed, also in the elements of patient and study, which have no flags of their own."""
    _sex(values)
    values.text("PatientName")
    values.text("AccessionNumber")
    values.text("IssuerOfPatientID")
    values.text("EthnicGroup")
    values.day("PatientBirthDate")
    values.day("StudyDate")
    values.integer("NumberOfStudyRelatedInstances")
    read_spacing([values])
    if not values.text("PatientID"):
        return (*values.flags, EMPTY_PATIENT_ID)
    return tuple(values.flags)
