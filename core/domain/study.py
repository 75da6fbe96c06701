"""What arrives: patient, instance, series, study, and one decoded frame of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from core.geometry import FloatMap, SquareFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Who the images are of. Identity never enters a log, a metric or a workflow input."""

    patient_id: str = field(default="", repr=False)
    patient_name: str = field(default="", repr=False)
    patient_birth_date: date | None = field(default=None, repr=False)
    patient_sex: Literal["M", "F", "O", ""] = ""
    issuer_of_patient_id: str = field(default="", repr=False)
    ethnic_group: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One received SOP instance: what the header says, and where its bytes lie.

    `patient_age_years` is read from PatientAge, else from birth and study date, else None; the lower of both where they
    disagree. `is_age_unreadable`: an age or a birth date is there, and it gives no age.
    `body_part_examined` and `view_position` are the words, or the term of the code where there is no word;
    `anatomic_region` and `view_code` the terms of the codes alone ("CHEST", "LL"), "" without a code that is known.
    `header_flags` name what was malformed yet tolerated ("PatientAge is not a valid AS", ...), without values.
    `arrival`: its place in the order in which this node received its objects, 0 where it was not received.
    `edition`: how often a person accepted another picture under its UID, so that no result of an earlier one is reused.
    Where the image is in the patient: empty unless the header says it (PS3.3 C.7.6.2.1.1), in mm; rows before columns.
    """

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    modality: str = ""
    body_part_examined: str = ""
    view_position: str = ""
    image_laterality: str = ""
    patient_orientation: tuple[str, ...] = ()
    photometric_interpretation: str = ""
    presentation_intent_type: str = ""
    image_type: tuple[str, ...] = ()
    burned_in_annotation: str = ""
    rows: int = 0
    columns: int = 0
    number_of_frames: int = 1
    instance_number: int | None = None
    acquired_at: datetime | None = None
    series_description: str = ""
    study_description: str = ""
    protocol_name: str = ""
    acquisition_device_processing_description: str = ""
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    station_name: str = ""
    institution_name: str = field(default="", repr=False)
    software_versions: str = ""
    kvp: float | None = None
    patient_age_years: float | None = None
    is_age_unreadable: bool = False
    anatomic_region: str = ""
    view_code: str = ""
    frame_of_reference_uid: str = ""
    image_position_patient: tuple[float, ...] = ()
    image_orientation_patient: tuple[float, ...] = ()
    pixel_spacing: tuple[float, ...] = ()
    header_flags: tuple[str, ...] = ()
    object_key: str = ""
    size_bytes: int = 0
    arrival: int = 0
    edition: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The instances of one series, in the order they were received."""

    series_instance_uid: str
    modality: str
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One study as assembled: a snapshot that a revision of the report is made from.

    `patient` is whom the image `identity_from` (a SOP Instance UID) names; every result is filed under its header.
    `identity_conflict`: why the images cannot be of one patient; `identity_doubts`: in what else they do not agree.
    """

    study_id: str  # ours: a keyed hash of the StudyInstanceUID, safe to log
    study_instance_uid: str = field(repr=False)
    revision: int
    patient: Patient
    accession_number: str = field(default="", repr=False)
    study_date: date | None = None
    series: tuple[Series, ...]
    calling_ae_title: str = ""
    identity_from: str = field(default="", repr=False)
    identity_conflict: str = ""
    identity_doubts: tuple[str, ...] = ()

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Every instance of every series, series by series."""
        return tuple(instance for series in self.series for instance in series.instances)


class StudyState(StrEnum):
    """How far a study is; `core.domain.states` holds the allowed transitions."""

    RECEIVING = "receiving"  # images arrive; not complete yet
    COMPLETE = "complete"  # the completion rule held; waiting for the worker
    READING = "reading"  # select, infer, explain, report
    REPORTED = "reported"  # a report is filed and handed to the outbox
    NOT_ANALYSED = "not_analysed"  # ours, but the images do not allow it; the SR says why
    REFUSED = "refused"  # no model takes it: not for us
    FAILED = "failed"  # our fault; shown to the operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One decoded frame as a reader would see it.

    `pixels`: float32, shape (rows, columns), 0.0 (black) .. 1.0 (white), after modality LUT, VOI LUT and
    inversion of MONOCHROME1 (PS3.4 N.2). `row_spacing_mm` / `column_spacing_mm`: distance between rows /
    columns; only their ratio is used where the spacing is not calibrated, (1, 1) when nothing is said.
    """

    pixels: FloatMap = field(repr=False, compare=False)
    row_spacing_mm: float = 1.0
    column_spacing_mm: float = 1.0
    header_flags: tuple[str, ...] = ()

    @property
    def frame(self) -> SquareFrame:
        """Where this image is in the square that models see."""
        rows, columns = self.pixels.shape
        return SquareFrame.of(rows, columns, self.row_spacing_mm, self.column_spacing_mm)
