"""The words of the structured report: in which order they come, what they rest on, and which codes go with them."""

from __future__ import annotations

import dataclasses
from io import BytesIO

import pydicom
import pytest
from pydicom.dataset import Dataset

from core.domain.code import Code
from dicom_node.header.sr_text import render_text
from tests.contract.encode.cases import COHORT, MODEL, dx_source, finding, report
from tests.contract.encode.sr.test_sr import conclusion, groups, items, read, sr_bytes, value


def words(group: Dataset) -> str:
    return str(items(group, "VERDICT")[0].TextValue)


def performance(group: Dataset) -> str:
    return str(items(group, "PERFORMANCE")[0].TextValue)


def test_each_finding_has_one_sensitivity() -> None:
    """Not that of validation patients next to that of test patients, and not two cohorts: readers saw 0.87 and 0.82."""
    of_all = dataclasses.replace(COHORT, cohort="all", sensitivity=0.82, fallback="")
    text = render_text(sr_bytes(report(cohorts=(COHORT, of_all))))
    assert text.count("Case Sensitivity") == 1
    assert "0.82" not in text


def test_the_limits_of_an_interval_are_coded_as_limits() -> None:
    """Not as "range of lower measurement uncertainty", which reads as a distance."""
    meanings = [str(e.value) for e in read(report()).iterall() if e.keyword == "CodeMeaning"]
    assert not [meaning for meaning in meanings if "uncertainty" in meaning]
    assert "Lower limit of the 95 % interval" in meanings


def test_the_performance_is_one_line_with_its_patients_and_its_source() -> None:
    assert performance(groups(report())[0]) == (
        "Sensitivity 0.85 [0.79, 0.90], 144 patients with it; specificity 0.88 [0.84, 0.91], 380 without it; measured "
        "in the model's validation data (women 60-79, view AP); too little data on women 60-79, view AP, portable yes."
    )


def test_a_cohort_with_too_little_data_says_so_and_gives_no_figure() -> None:
    group = groups(report())[1]
    (threshold,) = items(group, "OP_THRESHOLD")
    assert not items(threshold, "111088")
    assert performance(group).startswith("Sensitivity not known, 12 patients with it are too few;")


def test_figures_without_patients_are_not_measured() -> None:
    """The package claims 0.87 at the operating point; nothing was counted, so nothing of it is repeated."""
    group = groups(report(cohorts=()))[0]
    assert performance(group) == "Sensitivity and specificity: not measured."
    (threshold,) = items(group, "OP_THRESHOLD")
    assert "ContentSequence" not in threshold
    assert words(group) == "Flagged."


def test_the_word_comes_before_the_number() -> None:
    """By hand: 144 of 524 have it, 0.85 * 144 = 122.4 are flagged rightly, 0.12 * 380 = 45.6 wrongly: 0.73."""
    group = groups(report())[0]
    names = [item.ConceptNameCodeSequence[0].CodeMeaning for item in group.ContentSequence]
    assert names.index("Finding") < names.index("Result") < names.index("In words") < names.index("Probability")
    assert words(group) == (
        "Flagged. Of 100 flagged like this about 73 have it if 27 % of patients have it, as in the model's validation "
        "data (women 60-79, view AP) (144 of 524); fewer where it is rarer."
    )


def test_without_a_known_prevalence_there_is_no_such_sentence() -> None:
    some_verified = dataclasses.replace(COHORT, share_is_known=False)
    assert words(groups(report(cohorts=(some_verified,)))[0]) == "Flagged."


def test_a_finding_that_is_not_flagged_says_how_many_are_missed() -> None:
    quiet = report(findings=(finding(probability=0.2),), saliencies=())
    assert words(groups(quiet)[0]) == "Not flagged. Of 100 patients with it about 15 are not flagged."


def test_rounding_puts_no_probability_on_the_other_side_of_its_point() -> None:
    (group,) = groups(report(findings=(finding(probability=0.49996),), saliencies=()))
    shown, point = value(items(group, "122157")[0]), value(items(group, "OP_THRESHOLD")[0])
    assert (shown, point) == (0.49996, 0.5)


def test_the_conclusion_comes_first_in_three_lines() -> None:
    tree = read(report()).ContentSequence
    assert [item.ConceptNameCodeSequence[0].CodeValue for item in tree[1:4]] == ["121077"] * 3, "after the language"
    assert conclusion(report()) == [
        "Flagged: Lung opacity.",
        "Looked for and not flagged: Pleural effusion.",
        "Not looked for: pneumothorax, fracture, or anything else.",
    ]


def test_each_line_is_an_item_of_its_own() -> None:
    document = pydicom.dcmread(BytesIO(sr_bytes(report())))
    found = [e.value for e in document.iterall() if e.keyword == "ContinuityOfContent"]
    assert set(found) == {"SEPARATE"}
    assert document.ContinuityOfContent == "SEPARATE"


def test_hashes_and_scores_come_last() -> None:
    lines = render_text(sr_bytes(report())).splitlines()
    assert lines[-1].strip() == (
        f"Model version: chest_radiograph 1.0.0, sha256 of the weights: {MODEL.sha256}; "
        f"model card: candor models show chest_radiograph 1.0.0, sha256 {MODEL.card_sha256}"
    )
    group = groups(report())[0]
    assert group.ContentSequence[-1].ConceptNameCodeSequence[0].CodeValue == "SCORE"


def test_no_number_has_more_than_three_decimals() -> None:
    document = pydicom.dcmread(BytesIO(sr_bytes(report())))
    numbers = [str(e.value) for e in document.iterall() if e.keyword == "NumericValue"]
    assert numbers
    assert all(len(number.partition(".")[2]) <= 3 for number in numbers)
    assert "144" in numbers, "a count is a count"


GENERAL = Code(value="408574004", scheme="SCT", meaning="Imaging result abnormal")


def test_what_speaks_of_the_whole_image_comes_after_the_named_findings() -> None:
    general = dataclasses.replace(finding("abnormal", 0.2, GENERAL), is_general=True, implied_by=("Lung opacity",))
    found = groups(report(findings=(general, finding())))
    assert [items(group, "121071")[0].ConceptCodeSequence[0].CodeMeaning for group in found] == [
        "Lung opacity",
        "Imaging result abnormal",
    ]
    assert words(found[1]) == "Flagged because of: Lung opacity. By itself it is below its operating point."
    assert conclusion(report(findings=(general, finding())))[0] == "Flagged: Lung opacity, Imaging result abnormal."
    assert [site.ConceptCodeSequence[0].CodeMeaning for site in items(found[1], "363698007")] == ["Chest"]


@pytest.mark.parametrize(
    ("name", "meaning", "organ"),
    [
        ("cardiomegaly", "Cardiomegaly", "Heart"),
        ("effusion", "Pleural effusion", "Pleura"),
        ("effusion", "Pericardial effusion", "Pericardium"),
        ("edema", "Pulmonary edema", "Lung"),
        ("pneumothorax", "Pneumothorax", "Pleura"),
        ("pneumonia", "Pneumonia", "Lung"),
        ("cm", "Enlarged cardiomediastinum", "Mediastinum"),
        ("hernia", "Hiatal hernia", "Diaphragm"),
        ("scoliosis", "Scoliosis", "Chest"),
    ],
)
def test_a_finding_is_at_its_organ_else_in_the_body_part(name: str, meaning: str, organ: str) -> None:
    coded = Code(value="1", scheme="99TEST", meaning=meaning)
    (group,) = groups(report(findings=(finding(name, 0.9, coded),), saliencies=()))
    assert [item.ConceptCodeSequence[0].CodeMeaning for item in items(group, "363698007")] == [organ]


@pytest.mark.parametrize(
    ("changes", "body_part", "procedure", "region"),
    [
        ({}, "", "XR Chest Views", "Chest"),
        ({"BodyPartExamined": "LUNG"}, "", "XR Chest Views", "Chest"),
        ({"BodyPartExamined": None}, "CHEST", "XR Chest Views", "Chest"),
        ({"BodyPartExamined": None}, "", "XR unspecified body region", None),
        ({"BodyPartExamined": "KNEE"}, "CHEST", "XR unspecified body region", "Knee"),
        ({"Modality": "CT"}, "", "CT Chest", "Chest"),
        ({"Modality": "MG", "BodyPartExamined": "BREAST"}, "", "Mammography", "Breast"),
        ({"Modality": "OT"}, "", "Imaging procedure", "Chest"),
    ],
)
def test_the_procedure_is_that_of_the_image(
    changes: dict[str, str | None], body_part: str, procedure: str, region: str | None
) -> None:
    model = dataclasses.replace(MODEL, body_part=body_part)
    text = render_text(sr_bytes(report(model=model), dx_source(**changes)))
    assert f": {procedure} (" in text
    assert text.count("Target Region: ") == (region is not None)
    assert region is None or f"Target Region: {region} (" in text
