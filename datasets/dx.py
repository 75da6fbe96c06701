"""Makes proper Digital X-Ray objects from arrays: what the demo, the tests and the benchmarks send.

The objects are DX Image Storage - For Presentation (PS3.3 A.26) with every module that class requires, so that a
strict receiver takes them. Identities are made up, UIDs are derived from names: the same call gives the same object.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

_NAMES = uuid.UUID("0b1f5c5e-9f0c-5d0a-8d55-2d4b7c1e9a10")
_IMPLEMENTATION = UID("2.25.187021423047215204302104803046923121004")
_REGIONS = {"CHEST": ("816094009", "Chest"), "HAND": ("85562004", "Hand")}
_VIEWS = {"PA": ("272479007", "postero-anterior"), "AP": ("399348003", "antero-posterior")}

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUpPatient:
    """An invented person. `patient_age_years` None leaves PatientAge empty."""

    patient_id: str
    patient_name: str
    patient_sex: str = ""
    patient_age_years: int | None = None
    patient_birth_date: str = ""


def uid_of(name: str) -> UID:
    """A UID that follows from a name (PS3.5 B.2: 2.25 and a UUID as a decimal number)."""
    return UID(f"2.25.{uuid.uuid5(_NAMES, name).int}")


def wrap_as_dx(  # noqa: PLR0913 - every argument is one thing a header says
    pixels: Pixels,
    *,
    name: str,
    patient: MadeUpPatient,
    view_position: str = "PA",
    body_part_examined: str = "CHEST",
    photometric_interpretation: str = "MONOCHROME2",
    bits_stored: int | None = None,
    spacing_mm: float = 0.6,
    accession_number: str = "",
    study_date: str = "20261124",
) -> Dataset:
    """A DX object of `pixels` (rows, columns), uint8 or uint16, that shows 0 as black and the maximum as white.

    `pixels` are stored inverted for MONOCHROME1, so that both photometric interpretations look the same. `name`
    decides all UIDs: one study, one series, one instance each. `bits_stored` defaults to all bits of the type.
    """
    bits = bits_stored or pixels.dtype.itemsize * 8
    inverse = photometric_interpretation == "MONOCHROME1"
    stored: Pixels = (2**bits - 1 - pixels).astype(pixels.dtype) if inverse else pixels
    dataset = Dataset()
    dataset.file_meta = _file_meta(name)
    _identify(dataset, name, patient, accession_number, study_date)
    _describe(dataset, view_position, body_part_examined, spacing_mm)
    _fill_pixels(dataset, stored, bits, photometric_interpretation)
    return dataset


def _file_meta(name: str) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = uid_of(f"{name}/instance")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = _IMPLEMENTATION
    meta.ImplementationVersionName = "CANDOR_DATASETS"
    return meta


def _identify(dataset: Dataset, name: str, patient: MadeUpPatient, accession_number: str, study_date: str) -> None:
    """Patient, General Study, Patient Study, General Series, General Equipment and SOP Common modules."""
    _set(
        dataset,
        SpecificCharacterSet="ISO_IR 192",
        SOPClassUID=DigitalXRayImageStorageForPresentation,
        SOPInstanceUID=uid_of(f"{name}/instance"),
        StudyInstanceUID=uid_of(f"{name}/study"),
        SeriesInstanceUID=uid_of(f"{name}/series"),
        PatientName=patient.patient_name,
        PatientID=patient.patient_id,
        PatientBirthDate=patient.patient_birth_date,
        PatientSex=patient.patient_sex,
        StudyDate=study_date,
        StudyTime="120000",
        ContentDate=study_date,
        ContentTime="120000",
        AcquisitionDate=study_date,
        AcquisitionTime="120000",
        StudyID="1",
        AccessionNumber=accession_number,
        ReferringPhysicianName="",
        Modality="DX",
        SeriesNumber=1,
        InstanceNumber=1,
        Manufacturer="Candor project",
        ManufacturerModelName="datasets.dx",
        SoftwareVersions="1",
        DeviceSerialNumber="1",
    )
    if patient.patient_age_years is not None:
        dataset.PatientAge = f"{patient.patient_age_years:03d}Y"


def _describe(dataset: Dataset, view_position: str, body_part_examined: str, spacing_mm: float) -> None:
    """DX Series, DX Anatomy Imaged, DX Image, DX Detector, DX Positioning and Acquisition Context modules."""
    _set(
        dataset,
        PresentationIntentType="FOR PRESENTATION",
        BodyPartExamined=body_part_examined,
        ImageLaterality="U",
        AnatomicRegionSequence=_coded(*_REGIONS[body_part_examined]),
        ViewPosition=view_position,
        ViewCodeSequence=_coded(*_VIEWS[view_position]),
        PatientOrientation=["L", "F"],
        PositionerType="",
        ImageType=["DERIVED", "PRIMARY", ""],
        DerivationDescription="Made by datasets.dx of Candor",
        PixelIntensityRelationship="LOG",
        BurnedInAnnotation="NO",
        LossyImageCompression="00",
        RescaleIntercept="0",
        RescaleSlope="1",
        RescaleType="US",
        DetectorType="DIRECT",
        ImagerPixelSpacing=[f"{spacing_mm:g}", f"{spacing_mm:g}"],
        AcquisitionContextSequence=Sequence([]),
    )


def _fill_pixels(dataset: Dataset, stored: Pixels, bits: int, photometric_interpretation: str) -> None:
    """Image Pixel and VOI LUT modules; the window shows every stored value."""
    inverse = photometric_interpretation == "MONOCHROME1"
    _set(
        dataset,
        Rows=stored.shape[0],
        Columns=stored.shape[1],
        SamplesPerPixel=1,
        PhotometricInterpretation=photometric_interpretation,
        BitsAllocated=stored.dtype.itemsize * 8,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=0,
        PixelIntensityRelationshipSign=1 if inverse else -1,
        PresentationLUTShape="INVERSE" if inverse else "IDENTITY",
        WindowCenter=str(2 ** (bits - 1)),
        WindowWidth=str(2**bits),
    )
    dataset.PixelData = np.ascontiguousarray(stored).tobytes()
    dataset["PixelData"].VR = "OB" if stored.dtype.itemsize == 1 else "OW"


def _coded(value: str, meaning: str) -> Sequence:
    code = Dataset()
    _set(code, CodeValue=value, CodingSchemeDesignator="SCT", CodeMeaning=meaning)
    return Sequence([code])


def _set(dataset: Dataset, **elements: Any) -> None:
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
