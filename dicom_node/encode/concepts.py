"""The coded concepts that results are written in, standard where one exists, else ours ("99CANDOR").

The private scheme is declared in each object that uses it (PS3.3 C.12.1, Coding Scheme Identification).
"""

from __future__ import annotations

from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from core.domain.code import Code
from core.domain.explanation import Faithfulness
from dicom_node.encode.uids import CODING_SCHEME_UID

PRIVATE_SCHEME = "99CANDOR"


def _dcm(value: str, meaning: str) -> CodedConcept:
    return CodedConcept(value, "DCM", meaning)


def private(value: str, meaning: str) -> CodedConcept:
    """A concept of our own scheme; `value` has at most 16 characters, `meaning` is cut to 64 (PS3.3 8.8)."""
    return CodedConcept(value[:16], PRIVATE_SCHEME, meaning[:64])


def concept(code: Code) -> CodedConcept:
    """The coded concept for a domain code; the meaning is cut to 64 characters."""
    return CodedConcept(code.value, code.scheme, code.meaning[:64])


def code_item(coded: CodedConcept) -> Dataset:
    """A plain code sequence item, for places outside the content tree."""
    item = Dataset()
    item.CodeValue = coded.value
    item.CodingSchemeDesignator = coded.scheme_designator
    item.CodeMeaning = coded.meaning
    return item


def coding_schemes() -> list[Dataset]:
    """The Coding Scheme Identification Sequence items that declare our private scheme."""
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeUID = CODING_SCHEME_UID
    item.CodingSchemeName = "Candor"
    item.CodingSchemeResponsibleOrganization = "Candor"
    return [item]


# document
IMAGING_MEASUREMENT_REPORT = _dcm("126000", "Imaging Measurement Report")
CONCLUSION = _dcm("121077", "Conclusion")
PROCEDURE_REPORTED = _dcm("121058", "Procedure reported")
PROCEDURE_DESCRIPTION = _dcm("121065", "Procedure Description")
IMAGE_LIBRARY = _dcm("111028", "Image Library")
IMAGE_LIBRARY_GROUP = _dcm("126200", "Image Library Group")
MODALITY = _dcm("121139", "Modality")
TARGET_REGION = _dcm("123014", "Target Region")
OBSERVER_TYPE = _dcm("121005", "Observer Type")
DEVICE = _dcm("121007", "Device")
DEVICE_OBSERVER_UID = _dcm("121012", "Device Observer UID")
DEVICE_OBSERVER_NAME = _dcm("121013", "Device Observer Name")

# rejection note (CID 7010, TID 2010)
REJECTED_FOR_PATIENT_SAFETY = _dcm("113037", "Rejected for Patient Safety Reasons")
KEY_OBJECT_DESCRIPTION = _dcm("113012", "Key Object Description")
IMAGING_MEASUREMENTS = _dcm("126010", "Imaging Measurements")
QUALITATIVE_EVALUATIONS = CodedConcept("C0034375", "UMLS", "Qualitative Evaluations")
MEASUREMENT_GROUP = _dcm("125007", "Measurement Group")
FINDING = _dcm("121071", "Finding")
PROCESSING_EQUIPMENT = _dcm("109102", "Processing Equipment")
ARTIFICIAL_INTELLIGENCE = _dcm("123110", "Artificial Intelligence")

# the overall statement (CID 6047)
PROCESSING_SUMMARY = _dcm("111017", "CAD Processing and Findings Summary")
SUCCEEDED_WITH_FINDINGS = _dcm("111242", "All algorithms succeeded; with findings")
SUCCEEDED_WITHOUT_FINDINGS = _dcm("111241", "All algorithms succeeded; without findings")
SOME_FAILED_WITHOUT_FINDINGS = _dcm("111243", "Not all algorithms succeeded; without findings")
SOME_FAILED_WITH_FINDINGS = _dcm("111244", "Not all algorithms succeeded; with findings")
NONE_SUCCEEDED = _dcm("111245", "No algorithms succeeded; without findings")

# one finding
PROBABILITY = _dcm("122157", "Probability")
SENSITIVITY = _dcm("111088", "Case Sensitivity")
SPECIFICITY = _dcm("111090", "Case Specificity")
VISUAL_EXPLANATION = _dcm("130401", "Visual explanation")
NO_UNITS = CodedConcept("1", "UCUM", "no units")
PERCENT = CodedConcept("%", "UCUM", "Percent")
STUDIES = CodedConcept("{studies}", "UCUM", "studies")
PASSES = CodedConcept("{passes}", "UCUM", "forward passes")

LOWER_LIMIT = private("CI95_LOWER", "Lower limit of the 95 % interval")
UPPER_LIMIT = private("CI95_UPPER", "Upper limit of the 95 % interval")
OUTCOME = private("OUTCOME", "Result")
FLAGGED = private("FLAGGED", "Flagged")
NOT_FLAGGED = private("NOT_FLAGGED", "Not flagged")
VERDICT = private("VERDICT", "In words")
PERFORMANCE = private("PERFORMANCE", "How well the model does")
SCORE = private("SCORE", "Raw score of the model (logit)")
THRESHOLD = private("OP_THRESHOLD", "Operating point: threshold on the probability")
COHORT_POINT = private("COHORT_POINT", "Operating point of a cohort of this site")
REGION_MEANING = private("REGION_MEANING", "What the region shows")
REGION_OF_INFLUENCE = private("INFLUENCE", "Region that influenced the model")
MAP_WITHHELD = private("MAP_WITHHELD", "Map withheld")
POSITIVES = private("N_POSITIVES", "Number of positives")
NEGATIVES = private("N_NEGATIVES", "Number of negatives")

# the report as a whole
NOT_ANALYSED = private("NOT_ANALYSED", "Could not be analysed")
REASON = private("REASON", "Reason")
LIMITATION = private("LIMITATION", "Limitation")
INTENDED_USE = private("INTENDED_USE", "Intended use")
NOT_FOR = private("NOT_FOR", "Not for")
PROVENANCE = private("PROVENANCE", "Model version")
DISCLAIMER_TEXT = private("DISCLAIMER", "Disclaimer")

MODALITIES = {  # CID 29
    "CR": _dcm("CR", "Computed Radiography"),
    "DX": _dcm("DX", "Digital Radiography"),
    "CT": _dcm("CT", "Computed Tomography"),
    "MR": _dcm("MR", "Magnetic Resonance"),
    "MG": _dcm("MG", "Mammography"),
    "PT": _dcm("PT", "Positron emission tomography"),
    "NM": _dcm("NM", "Nuclear Medicine"),
    "US": _dcm("US", "Ultrasound"),
    "RG": _dcm("RG", "Radiographic imaging"),
    "XA": _dcm("XA", "X-Ray Angiography"),
}

# body parts that have no side (PS3.16 Annex L)
# fmt: off
UNPAIRED = frozenset({
    "ABDOMEN", "ABDOMENPELVIS", "AORTA", "BLADDER", "BRAIN", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "COCCYX",
    "COLON", "CSPINE", "CTSPINE", "HEAD", "HEADNECK", "HEART", "JAW", "LIVER", "LSPINE", "LSSPINE", "MEDIASTINUM",
    "NECK", "NOSE", "PANCREAS", "PELVIS", "PROSTATE", "RECTUM", "SKULL", "SPINE", "SPLEEN", "SSPINE", "STERNUM",
    "STOMACH", "TLSPINE", "TRACHEA", "TSPINE", "UTERUS", "WHOLEBODY",
})
# fmt: on

FAITHFULNESS = {
    "deletion_auc": (private("DELETION_AUC", "Faithfulness: deletion AUC (lower is better)"), NO_UNITS),
    "insertion_auc": (private("INSERTION_AUC", "Faithfulness: insertion AUC (higher is better)"), NO_UNITS),
    "null_percentile": (
        private("NULL_PERCENTILE", "Faithfulness: percentile against null maps on this image"),
        PERCENT,
    ),
    "stability": (private("STABILITY", "Faithfulness: stability (SSIM under small changes)"), NO_UNITS),
    "forward_passes": (private("FORWARD_PASSES", "Faithfulness: forward passes of the model"), PASSES),
}
EXTENT = private("F_EXTENT", "Faithfulness: which reports are measured")
EVERY_REPORT = private("F_EVERY", "Every report with a map")
SAMPLE_OF_REPORTS = private("F_SAMPLED", "A sample of the reports")


def faithfulness_figures(faithfulness: Faithfulness) -> list[tuple[CodedConcept, float, CodedConcept]]:
    """The figures of a map, each as concept, value and unit."""
    return [(concept, getattr(faithfulness, name), unit) for name, (concept, unit) in FAITHFULNESS.items()]
