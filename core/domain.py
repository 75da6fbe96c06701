"""The nouns of Candor: what the rooms of the house hand to each other.

Everything is frozen, keyword-only and free of behaviour that would need a library
other than numpy. A field that mirrors a DICOM element bears its keyword in snake case
(`patient_birth_date`, `view_position`). Fields that carry a person's identity have
`repr=False`, so that no log line or traceback can print them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.geometry import FloatMap, SquareFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coded concept: value, coding scheme designator, meaning (PS3.3 8.8; meaning <= 64 characters)."""

    value: str
    scheme: str
    meaning: str


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

    `patient_age_years` is read from PatientAge, else from birth and study date, else None.
    `flags` name what was malformed yet tolerated ("PatientAge is not a valid AS", ...), without values.
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
    manufacturer: str = ""
    manufacturer_model_name: str = ""
    station_name: str = ""
    institution_name: str = field(default="", repr=False)
    software_versions: str = ""
    kvp: float | None = None
    patient_age_years: float | None = None
    flags: tuple[str, ...] = ()
    object_key: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The instances of one series, in the order they were received."""

    series_instance_uid: str
    modality: str
    instances: tuple[Instance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One study as assembled: a snapshot that a revision of the report is made from."""

    study_id: str  # ours: a keyed hash of the StudyInstanceUID, safe to log
    study_instance_uid: str = field(repr=False)
    revision: int
    patient: Patient
    accession_number: str = field(default="", repr=False)
    study_date: date | None = None
    series: tuple[Series, ...]
    calling_ae_title: str = ""


class StudyState(StrEnum):
    """Where a study stands; `core.states` holds the allowed transitions."""

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
    flags: tuple[str, ...] = ()

    @property
    def frame(self) -> SquareFrame:
        """How this image lies in the square that models see."""
        rows, columns = self.pixels.shape
        return SquareFrame.of(rows, columns, self.row_spacing_mm, self.column_spacing_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """A threshold on the probability, and what it was chosen for on validation data (all 0..1).

    `cohort` and `policy` are set where a person signed off an operating point for one cohort of this site; it was then
    chosen on local reads.
    """

    threshold: float
    sensitivity: float
    specificity: float
    sensitivity_interval: tuple[float, float] | None = None  # 95 %
    specificity_interval: tuple[float, float] | None = None
    positives: int | None = None
    negatives: int | None = None
    cohort: str = ""  # "view=AP"; "": chosen for all patients
    policy: str = ""  # "operating policy 3, signed off 2026-11-02"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingDefinition:
    """A finding a model can report: its name, code and operating point."""

    name: str  # machine name, e.g. "lung_opacity"
    code: Code
    operating_point: OperatingPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """An immutable model version: what ran, provably (`sha256` of the weights)."""

    name: str
    version: str
    sha256: str
    manufacturer: str
    device_uid: str  # one Device UID per model version (TID 1004)
    findings: tuple[FindingDefinition, ...]
    intended_use: str = ""
    card_sha256: str = ""  # of the model card (HTML) in the package; "" when it has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What the quality gate said of one image: a score per fault (a probability 0..1, or a distance whose usual value
    is 1). `fault` is the one it is refused for, with `reason` in words; both are "" for a sound image. `sha256`: the
    gate's weights.
    """

    sha256: str
    scores: dict[str, float]
    fault: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model said of one image; nothing (no scores, no maps) where `quality` names a fault.

    `scores`: raw logit per finding name. `probabilities`: calibrated, 0..1. `maps`: class activation in
    model space, float32, shape (findings, h, w), in the order of `model.findings`; None when the model has none.
    `frame` brings them back to source pixels.
    """

    model: ModelVersion
    sop_instance_uid: str = field(repr=False)
    scores: dict[str, float]
    probabilities: dict[str, float]
    frame: SquareFrame
    maps: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    quality: Quality | None = None  # None where the package has no quality gate


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A coded observation with its probability, against the model's operating point."""

    name: str
    code: Code
    probability: float
    score: float
    operating_point: OperatingPoint

    @property
    def is_positive(self) -> bool:
        return self.probability >= self.operating_point.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A closed outline in source pixel space.

    `points`: float array, shape (n, 2), (column, row) with the DICOM convention that (0.0, 0.0) is the top left
    corner of the top left pixel (PS3.3 C.10.5.1.2); the first point equals the last.
    """

    points: NDArray[np.float32] = field(repr=False, compare=False)
    area_pixels: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faithfulness:
    """How far one map tells the truth about the model on this very image.

    `deletion_auc`: area under the probability, 0..1, while the map's highest regions are blurred away first (a true
    map makes it fall early: low is good). `insertion_auc`: the same while they are brought back first into the
    blurred image (high is good). Petsiuk et al., RISE, BMVC 2018. `null_percentile`: 0..100, where insertion minus
    deletion stands among maps of this image that cannot know the model. `stability`: SSIM, -1..1, with the map after
    1 % noise or a shift of one pixel. `forward_passes`: what it cost. `sampled`: measured on a sample of the studies
    only, because this machine is slow; a study without figures was not drawn.
    """

    deletion_auc: float
    insertion_auc: float
    null_percentile: float
    stability: float
    forward_passes: int
    sampled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Saliency:
    """The region that influenced the model for one finding, in the source's rows and columns.

    `values`: float32, shape (rows, columns), 0..1. `mask`: bool, same shape, the thresholded map (what SEG
    and outlines show). `faithfulness`: None when not measured.
    `shown` is False when the map failed its gate: then no carrier shows it and the SR gives `withheld_reason`.
    """

    finding_name: str
    sop_instance_uid: str = field(repr=False)
    method: Code
    values: FloatMap = field(repr=False, compare=False)
    mask: NDArray[np.bool_] = field(repr=False, compare=False)
    regions: tuple[Region, ...] = ()
    parameters: dict[str, float | int | str] = field(default_factory=dict)
    faithfulness: Faithfulness | None = None
    shown: bool = True
    withheld_reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortMetric:
    """How well the model does for patients like this one, for one finding (95 % intervals)."""

    finding_name: str
    cohort: str  # "all", "sex=F & age_band=60-79"
    sensitivity: float | None
    sensitivity_interval: tuple[float, float] | None
    specificity: float | None
    specificity_interval: tuple[float, float] | None
    positives: int
    negatives: int
    source: str  # "the model's validation data", "local reads to 2026-10-31, audit 12"
    fallback: str = ""  # which more specific cohort had too little data


class ReportStatus(StrEnum):
    REPORTED = "reported"
    NOT_ANALYSED = "not_analysed"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What goes back to the PACS. Always UNVERIFIED until a person signs.

    `analysed_sop_instance_uid` is the image the findings speak of; `predecessor_sop_instance_uid` is the SR of
    the revision that this one supersedes (PredecessorDocumentsSequence). `explanation_gate`: "" when the model's maps
    passed the registration gate, else why maps are withheld.
    """

    study: Study
    status: ReportStatus
    created_at: datetime
    reason: str = ""
    model: ModelVersion | None = None
    findings: tuple[Finding, ...] = ()
    saliencies: tuple[Saliency, ...] = ()
    cohorts: tuple[CohortMetric, ...] = ()
    limitations: tuple[str, ...] = ()  # "PatientID is empty: not linked with any other study", ...
    analysed_sop_instance_uid: str = field(default="", repr=False)
    predecessor_sop_instance_uid: str = field(default="", repr=False)
    predecessor_series_instance_uid: str = field(default="", repr=False)
    explanation_gate: str = ""
    opinion: str = ""  # the method of a map that somebody asked for afterwards; "" for the report itself


class ObjectKind(StrEnum):
    """The DICOM objects a report is carried in; destinations choose among them."""

    SR = "sr"
    SC = "sc"
    GSPS = "gsps"
    SEG = "seg"
    SEG_FRACTIONAL = "seg-fractional"
    PMAP = "pmap"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultObject:
    """One encoded DICOM object: a whole Part 10 file in memory."""

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    series_instance_uid: str = field(repr=False)
    finding_name: str = ""  # "" for the SR, which speaks of all
    data: bytes = field(repr=False)


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    COMMITTED = "committed"  # the destination confirmed storage commitment
    REFUSED = "refused"  # the destination answered with a status that no retry will change


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One object on its way to one destination: a row of the outbox."""

    delivery_id: int
    study_id: str
    destination: str
    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str = field(repr=False)
    object_key: str
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Who did what, when, from where, to which (pseudonymous) subject, and how it ended (PS3.15 A.5)."""

    action: str  # "instance.received", "report.delivered", ...
    actor: str  # AE title, account or process
    outcome: Literal["success", "refused", "failure"]
    subject: str = ""  # a keyed hash, never a UID or a name
    source: str = ""  # address
    reason: str = ""
