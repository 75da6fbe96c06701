"""Which procedure was reported and where a finding is: from the image, the model that read it, and the finding."""

from __future__ import annotations

import re

import highdicom.sr as hd
from pydicom.dataset import Dataset

from core.domain.report import Finding, Reading, ReportStatus
from dicom_node.encode.concepts import PROCEDURE_DESCRIPTION, PROCEDURE_REPORTED
from dicom_node.encode.sr.content import HAS_CONCEPT_MOD, code


def _sct(value: str, meaning: str) -> hd.CodedConcept:
    return hd.CodedConcept(value, "SCT", meaning)


def _loinc(value: str, meaning: str) -> hd.CodedConcept:
    return hd.CodedConcept(value, "LN", meaning)


_CHEST = _sct("51185008", "Chest")
REGIONS = {  # Body Part Examined -> anatomic region (PS3.16 Annex L)
    "CHEST": _CHEST,
    "THORAX": _CHEST,
    "LUNG": _CHEST,
    "BREAST": _sct("76752008", "Breast"),
    "HEAD": _sct("69536005", "Head"),
    "BRAIN": _sct("12738006", "Brain"),
    "ABDOMEN": _sct("818981001", "Abdomen"),
    "PELVIS": _sct("816092008", "Pelvis"),
    "HIP": _sct("29836001", "Hip"),
    "KNEE": _sct("72696002", "Knee"),
    "HAND": _sct("85562004", "Hand"),
    "FOOT": _sct("56459004", "Foot"),
    "SHOULDER": _sct("16982005", "Shoulder"),
    "SPINE": _sct("421060004", "Spine"),
}
_ORGANS = (  # what a finding's name or code meaning holds, the more specific first
    (r"pericard", _sct("76848001", "Pericardium")),
    (r"pleura|pneumothora|h(a)?emothora|empyema", _sct("3120008", "Pleura")),
    (r"mediastin|hilar|hilum", _sct("72410000", "Mediastinum")),
    (r"aort", _sct("15825003", "Aorta")),
    (r"diaphragm|hiat(al|us)", _sct("5798000", "Diaphragm")),
    (r"\bribs?\b", _sct("113197003", "Rib")),
    (r"\bcardi(o|ac)|\bheart", _sct("80891009", "Heart")),
    (r"lung|pulmon|pneumoni|bronch|atelecta|emphysem|consolidat|infiltrat", _sct("39607008", "Lung")),
)
_SIDES = {"R": _sct("24028007", "Right"), "L": _sct("7771000", "Left"), "B": _sct("51440002", "Bilateral")}

_MODALITIES = {"CR": "XR", "DX": "XR", "RG": "XR", "CT": "CT", "MR": "MR", "PT": "PT", "NM": "NM", "MG": "MG"}
_OF_A_REGION = {
    ("XR", "Chest"): _loinc("30745-4", "XR Chest Views"),
    ("CT", "Chest"): _loinc("24627-2", "CT Chest"),
    ("CT", "Head"): _loinc("24725-4", "CT Head"),
    ("CT", "Abdomen"): _loinc("41806-1", "CT Abdomen"),
}
_EXACT = {"MG": _sct("71651007", "Mammography")}
_UNSPECIFIED = {  # CID 100
    "XR": _loinc("43468-8", "XR unspecified body region"),
    "CT": _loinc("25045-6", "CT unspecified body region"),
    "MR": _loinc("25056-3", "MRI unspecified body region"),
    "PT": _loinc("44136-0", "PET unspecified body region"),
    "NM": _loinc("49118-3", "NM unspecified body region"),
}
_ANY = _sct("363679005", "Imaging procedure")


def region_of(source: Dataset, reading: Reading | None) -> hd.CodedConcept | None:
    """The body part that was imaged: what the image says, else what the model that read it takes it for."""
    said = REGIONS.get(source.get("BodyPartExamined", ""))
    if said or reading is None or reading.status is not ReportStatus.REPORTED:
        return said
    return REGIONS.get(reading.model.body_part)


def procedure_of(source: Dataset, reading: Reading | None) -> list[hd.ContentItem]:
    """The procedure that is reported (TID 1500), as far as image and model tell the body part.

    Context group 100 has no code for a body part. Validators take no others although it is a baseline, so the exact
    code is the description of the procedure.
    """
    modality, region = _MODALITIES.get(source.get("Modality", ""), ""), region_of(source, reading)
    exact = _OF_A_REGION.get((modality, region.meaning if region else "")) or _EXACT.get(modality)
    items: list[hd.ContentItem] = [
        code(PROCEDURE_REPORTED, _ANY if exact else _UNSPECIFIED.get(modality, _ANY), HAS_CONCEPT_MOD)
    ]
    return items + ([code(PROCEDURE_DESCRIPTION, exact, HAS_CONCEPT_MOD)] if exact else [])


def finding_sites(source: Dataset, reading: Reading, finding: Finding) -> list[hd.ContentItem]:
    """The organ that the finding is of, else the body part; the side only where the image is of one side."""
    site = _organ_of(finding) or region_of(source, reading)
    if site is None:
        return []
    side = source.get("ImageLaterality") or source.get("Laterality")
    return [hd.FindingSite(site, laterality=_SIDES.get(side))]


def _organ_of(finding: Finding) -> hd.CodedConcept | None:
    if finding.is_general:
        return None
    words = f"{finding.name} {finding.code.meaning}".replace("_", " ").lower()
    return next((organ for pattern, organ in _ORGANS if re.search(pattern, words)), None)
