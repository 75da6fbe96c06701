"""What the audit of a site knows of one reading: pseudonyms, what the header says of equipment and patient, results.

These nouns carry no identity, so that `fairness` can be handed them. Free text (institution, station, ...) has
`repr=False`: a department's name may single out a patient, and it belongs in the encrypted database only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from core.domain.report import ReportStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortFacts:
    """What a header says that cohorts are made of; "" or None: not said. `mobile`: None when no word tells."""

    patient_sex: str = ""
    patient_age_years: float | None = None
    ethnic_group: str = field(default="", repr=False)
    manufacturer: str = field(default="", repr=False)
    manufacturer_model_name: str = field(default="", repr=False)
    station_name: str = field(default="", repr=False)
    institution_name: str = field(default="", repr=False)
    software_versions: str = field(default="", repr=False)
    view_position: str = ""
    kvp: float | None = None
    mobile: bool | None = None
    calling_ae_title: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingRecord:
    """One revision of one study as one model version read it: a row of the audit.

    `patient` is a keyed hash; a study without PatientID counts as a patient of its own. `probabilities` 0..1,
    the highest among the images of the study, and `above` (at or above the operating point that was in force, on any of
    them) by finding name; both empty unless reported.
    `turnaround_seconds`: last image to report; None when it failed. Model fields are "" when no model came to it.
    """

    study_id: str
    revision: int
    patient: str
    status: ReportStatus
    facts: CohortFacts
    model_name: str = ""
    model_version: str = ""
    model_sha256: str = ""
    probabilities: dict[str, float] = field(default_factory=dict)
    above: dict[str, bool] = field(default_factory=dict)
    turnaround_seconds: float | None = None
    read_at: float = 0.0  # seconds since the epoch


class TruthSource(StrEnum):
    """Where ground truth comes from, the most trusted first: of two sources the upper one counts."""

    WEB = "web"  # a reader answered for exactly this finding, in Candor's page
    VERIFIED_SR = "verified_sr"  # a person verified our report and the PACS sent it back
    CSV = "csv"  # imported: adjudicated lists, registries, what a site exports from its RIS
    FHIR = "fhir"  # results of other systems, usually coded from a text
    HL7 = "hl7"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroundTruth:
    """Who said what of one finding in one study, when, and whether the AI's answer had been seen before."""

    study_id: str
    finding: str
    value: bool
    source: TruthSource
    reader: str  # a pseudonym
    ai_seen: bool
    at: float  # seconds since the epoch: when it was read, not when it was imported
