"""Radiographs for the tests that go through the door, and a sender that behaves like a modality: it tries again."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from core.errors import CandorError
from dicom_node.network.peers import Destination
from dicom_node.send import open_association

SIDE = 256
PATCH = (64, 128, 32, 96)  # top, bottom, left, right of what the known model finds


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One image of one study, and whether the known model must find something in it."""

    study_instance_uid: str
    sop_instance_uid: str
    bright: bool
    part10: bytes


def radiograph(
    number: int, *, bright: bool, study_instance_uid: str = "", change: Callable[[Dataset], None] | None = None
) -> Radiograph:
    """A synthetic DX image; with `bright` it has the patch that the known model finds."""
    pixels = np.random.default_rng(number).integers(40, 100, (SIDE, SIDE), np.uint8)
    if bright:
        top, bottom, left, right = PATCH
        pixels[top:bottom, left:right] = 250
    return radiograph_of(number, pixels, bright=bright, study_instance_uid=study_instance_uid, change=change)


def same_study(
    first: Radiograph, number: int, *, bright: bool, change: Callable[[Dataset], None] | None = None
) -> Radiograph:
    """Another image of the study, and so of the patient, of `first`."""
    of_first = dcmread(io.BytesIO(first.part10), stop_before_pixels=True)

    def to_same(dataset: Dataset) -> None:
        for keyword in ("PatientName", "PatientID", "AccessionNumber"):
            dataset[keyword] = of_first[keyword]
        if change is not None:
            change(dataset)

    return radiograph(number, bright=bright, study_instance_uid=first.study_instance_uid, change=to_same)


def ct_series(number: int, *, slices: int = 8, bright_slice: int = 5) -> list[Radiograph]:
    """A synthetic CT series, lowest slice first, a bright block in one slice; instance numbers give another order."""
    study_instance_uid, series_instance_uid, frame_of_reference_uid = (generate_uid(None) for _ in range(3))

    def slice_at(place: int) -> Radiograph:
        values = np.random.default_rng(place).integers(-950, -850, (SIDE // 4, SIDE // 4)).astype(np.int16)
        if place == bright_slice:
            top, bottom, left, right = (at // 4 for at in PATCH)
            values[top:bottom, left:right] = 980

        def to_ct(dataset: Dataset) -> None:
            dataset.SOPClassUID, dataset.Modality, dataset.ViewPosition = CTImageStorage, "CT", ""
            dataset.BitsAllocated = dataset.BitsStored = 16
            dataset.HighBit, dataset.PixelRepresentation = 15, 0
            dataset.PixelData = (values + 1024).astype(np.uint16).tobytes()
            dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType = 1, -1024, "HU"
            dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = series_instance_uid, frame_of_reference_uid
            dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-20, -30, 5 * place]
            dataset.PixelSpacing, dataset.SliceThickness = [1, 1], 5
            dataset.InstanceNumber = (place * 5) % slices + 1
            dataset.PatientName = f"Canary^Name{number}"
            dataset.PatientID = f"CANARYID{number}"
            dataset.AccessionNumber = f"CANARYACC{number}"
            del dataset.PresentationIntentType, dataset.PatientOrientation, dataset.ViewPosition

        pixels = np.zeros(values.shape, np.uint8)
        return radiograph_of(
            100 * number + place,
            pixels,
            bright=place == bright_slice,
            study_instance_uid=study_instance_uid,
            change=to_ct,
        )

    return [slice_at(place) for place in range(slices)]


def radiograph_of(
    number: int,
    pixels: np.ndarray,
    *,
    bright: bool = False,
    study_instance_uid: str = "",
    change: Callable[[Dataset], None] | None = None,
) -> Radiograph:
    """8-bit pixels, shape (rows, columns), wrapped as a DX object."""
    dataset = _dataset(number, pixels, study_instance_uid or generate_uid(None, [f"study {number}"]))
    if change is not None:
        change(dataset)
    stream = io.BytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return Radiograph(str(dataset.StudyInstanceUID), str(dataset.SOPInstanceUID), bright, stream.getvalue())


def _dataset(number: int, pixels: np.ndarray, study_instance_uid: str) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = generate_uid(None, [f"instance {number} {study_instance_uid}"])
    dataset.StudyInstanceUID = study_instance_uid
    dataset.SeriesInstanceUID = generate_uid(None, [f"series {study_instance_uid}"])
    dataset.PatientName, dataset.PatientID = f"Canary^Name{number}", f"CANARYID{number}"
    dataset.PatientSex, dataset.PatientAge, dataset.PatientBirthDate = "F", "051Y", "19750102"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20261001", "101112", "1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = f"CANARYACC{number}", "Canary^Referrer"
    dataset.Modality, dataset.BodyPartExamined, dataset.ViewPosition = "DX", "CHEST", "PA"
    dataset.PatientOrientation = ["L", "F"]
    dataset.PresentationIntentType, dataset.ImageType = "FOR PRESENTATION", ["ORIGINAL", "PRIMARY"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = pixels.tobytes()
    return dataset


def send(images: Sequence[Radiograph], port: int, *, associations: int = 1, patience_seconds: float = 60.0) -> None:
    """C-STORE each image until it is answered 0x0000, over so many associations at once, one per image."""
    with ThreadPoolExecutor(associations) as pool:
        list(pool.map(lambda image: send_until_kept(image, port, patience_seconds=patience_seconds), images))


def send_together(images: Sequence[Radiograph], port: int) -> None:
    """C-STORE all images over one association, as a modality sends a study."""
    with open_association(candor(port), [DigitalXRayImageStorageForPresentation, CTImageStorage]) as sender:
        assert [sender.send(image.part10).status for image in images] == [0] * len(images)


def send_until_kept(image: Radiograph, port: int, *, patience_seconds: float = 60.0) -> float:
    """Send one image as a patient modality does; returns when it was answered, seconds since the epoch."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            with open_association(candor(port), [DigitalXRayImageStorageForPresentation, CTImageStorage]) as sender:
                result = sender.send(image.part10)
                if result.status == 0:
                    return time.time()
                error: Exception = AssertionError(f"answered 0x{result.status:04X}")
        except CandorError as away:
            error = away
        if time.monotonic() > deadline:
            raise error
        time.sleep(0.2)


def candor(port: int) -> Destination:
    """The node under test, seen from a modality."""
    return Destination(
        name="candor",
        ae_title="CANDOR",
        host="127.0.0.1",
        port=port,
        calling_ae_title="MODALITY",
        connect_timeout_seconds=2.0,
        answer_timeout_seconds=10.0,
    )
