"""What `chest_radiograph` may report: a name, a code and a sentence for each finding.

SNOMED CT codes are given where pydicom's or the NIH/UMLS mappings confirm them. pydicom's dictionary lists
287272002 for cardiomegaly, which SNOMED CT calls "Enlarged septal foramen of heart": 8186001 is the right one.
Opacity and infiltrate are DICOM's own concepts (CID 6101, CID 6104).
"""

from __future__ import annotations

from core.domain.code import Code

CODES: dict[str, Code] = {
    "any_abnormality": Code(value="408574004", scheme="SCT", meaning="Imaging result abnormal"),
    "lung_opacity": Code(value="112033", scheme="DCM", meaning="Abnormal opacity"),
    "effusion": Code(value="60046008", scheme="SCT", meaning="Pleural effusion"),
    "cardiomegaly": Code(value="8186001", scheme="SCT", meaning="Cardiomegaly"),
    "edema": Code(value="19242006", scheme="SCT", meaning="Pulmonary edema"),
    "pneumothorax": Code(value="36118008", scheme="SCT", meaning="Pneumothorax"),
    "atelectasis": Code(value="46621007", scheme="SCT", meaning="Atelectasis"),
    "consolidation": Code(value="95436008", scheme="SCT", meaning="Lung consolidation"),
    "infiltration": Code(value="112121", scheme="DCM", meaning="Infiltrate"),
    "nodule_or_mass": Code(value="27925004", scheme="SCT", meaning="Nodule"),
    "emphysema": Code(value="87433001", scheme="SCT", meaning="Pulmonary emphysema"),
    "fibrosis": Code(value="51615001", scheme="SCT", meaning="Fibrosis of lung"),
}

WORDS: dict[str, str] = {
    "any_abnormality": "any abnormality (RSNA 2018: not Normal, by radiologists)",
    "lung_opacity": "lung opacity (RSNA 2018, by radiologists)",
    "effusion": "pleural effusion (text-mined)",
    "cardiomegaly": "cardiomegaly (text-mined)",
    "edema": "pulmonary edema (text-mined)",
    "pneumothorax": "pneumothorax (text-mined)",
    "atelectasis": "atelectasis (text-mined)",
    "consolidation": "consolidation (text-mined)",
    "infiltration": "infiltration (text-mined)",
    "nodule_or_mass": "nodule or mass (text-mined)",
    "emphysema": "emphysema (text-mined)",
    "fibrosis": "fibrosis (text-mined)",
    "pleural_thickening": "pleural thickening (text-mined)",
}
