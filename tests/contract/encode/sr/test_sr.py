"""What the structured report says, read back with highdicom and pydicom and compared with the report it came from."""

from __future__ import annotations

import dataclasses
from io import BytesIO

import highdicom.sr as hd
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code as Concept
from pydicom.uid import DigitalXRayImageStorageForPresentation

from core.domain.report import ObjectKind, Report, ReportStatus
from dicom_node.encode import encode
from dicom_node.encode.uids import tracking_uid
from dicom_node.header.sr_text import render_text
from tests.contract.encode.cases import (
    COHORT,
    FAITHFULNESS,
    IMAGE_UID,
    MODEL,
    OPACITY,
    POINT,
    SERIES_UID,
    STUDY_UID,
    dx_source,
    finding,
    of_cohort,
    report,
    saliency,
    study,
    withheld,
)


def sr_bytes(of: Report, source: bytes | None = None) -> bytes:
    (result,) = encode(of, {IMAGE_UID: source or dx_source()}, {}, [ObjectKind.SR])
    return result.data


def read(of: Report) -> hd.ComprehensiveSR:
    return hd.ComprehensiveSR.from_dataset(pydicom.dcmread(BytesIO(sr_bytes(of))))


def content(of: Report) -> hd.MeasurementReport:
    tree = read(of).content
    assert isinstance(tree, hd.MeasurementReport)
    return tree


def groups(of: Report) -> list[Dataset]:
    """The measurement groups of the report."""
    return [
        group
        for section in read(of).ContentSequence
        for group in section.get("ContentSequence", ())
        if group.ConceptNameCodeSequence[0].CodeValue == "125007"
    ]


def items(parent: Dataset, code_value: str) -> list[Dataset]:
    return [i for i in parent.get("ContentSequence", []) if i.ConceptNameCodeSequence[0].CodeValue == code_value]


def value(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)


def interval(item: Dataset) -> tuple[float, float]:
    return value(items(item, "CI95_LOWER")[0]), value(items(item, "CI95_UPPER")[0])


def overall(of: Report) -> Dataset:
    """The section that states what the report comes to."""
    (section,) = items(read(of), "C0034375")
    return section


def conclusion(of: Report) -> list[str]:
    return [str(item.TextValue) for item in items(read(of), "121077")]


def test_the_document_is_complete_preliminary_and_unverified() -> None:
    document = read(report())
    flags = (document.CompletionFlag, document.PreliminaryFlag, document.VerificationFlag)
    assert flags == ("COMPLETE", "PRELIMINARY", "UNVERIFIED")
    assert document.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert (str(document.ContentDate), str(document.ContentTime)) == ("20260301", "093015.250000")


def test_the_report_is_filed_with_its_patient_and_study_in_a_new_series() -> None:
    document = read(report())
    assert (document.PatientID, str(document.PatientName)) == ("SYN-1", "Syn^Thetic")
    assert (document.StudyInstanceUID, document.AccessionNumber) == (STUDY_UID, "A1")
    assert document.SeriesInstanceUID != SERIES_UID
    evidence = (STUDY_UID, SERIES_UID, IMAGE_UID, DigitalXRayImageStorageForPresentation)
    assert document.get_evidence() == [evidence]


def test_the_observer_is_the_model_version() -> None:
    (context,) = content(report()).get_observer_contexts()
    attributes = context.observer_identifying_attributes
    assert isinstance(attributes, hd.DeviceObserverIdentifyingAttributes)
    assert context.observer_type == Concept("121007", "DCM", "Device")
    assert (attributes.uid, attributes.model_name, attributes.serial_number) == (MODEL.device_uid, MODEL.name, "1.0.0")


def test_the_algorithm_is_contributing_equipment() -> None:
    (equipment,) = read(report()).ContributingEquipmentSequence
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    facts = (equipment.Manufacturer, equipment.ManufacturerModelName, equipment.SoftwareVersions, equipment.DeviceUID)
    assert facts == (MODEL.manufacturer, MODEL.name, MODEL.version, MODEL.device_uid)


def test_a_positive_finding_is_a_planar_group_with_probability_and_region() -> None:
    (group,) = content(report()).get_planar_roi_measurement_groups()
    assert group.finding_type == Concept(OPACITY.value, OPACITY.scheme, OPACITY.meaning)
    assert group.tracking_identifier == "Lung opacity"
    assert group.tracking_uid == tracking_uid(report(), report().readings[0], "lung_opacity")
    assert [site.value.value for site in group.finding_sites] == ["39607008"], "the lung, not the chest"
    (probability,) = group.get_measurements(name=Concept("122157", "DCM", "Probability"))
    assert probability.value == 0.871
    largest = max(saliency().regions, key=lambda region: region.area_pixels)
    assert isinstance(group.roi, hd.ImageRegion)
    np.testing.assert_array_equal(group.roi.value, largest.points)


def test_further_regions_are_what_the_probability_is_inferred_from() -> None:
    (probability,) = items(groups(report())[0], "122157")
    (further,) = probability.ContentSequence
    assert (further.RelationshipType, further.ValueType) == ("INFERRED FROM", "SCOORD")
    smallest = min(saliency().regions, key=lambda region: region.area_pixels)
    np.testing.assert_array_equal(np.reshape(further.GraphicData, (-1, 2)), smallest.points)
    assert further.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == IMAGE_UID


def test_the_algorithm_of_each_finding_is_named() -> None:
    for group in groups(report())[:2]:
        assert items(group, "111001")[0].TextValue == MODEL.name
        assert items(group, "111003")[0].TextValue == MODEL.version
        assert not items(group, "111002"), "hashes come last"
        assert items(group, "111000")[0].ConceptCodeSequence[0].CodeValue == "123110"


def test_the_operating_point_carries_what_was_measured_in_patients_like_this_one() -> None:
    (threshold,) = items(groups(report())[0], "OP_THRESHOLD")
    (sensitivity,), (specificity,) = items(threshold, "111088"), items(threshold, "111090")
    assert value(threshold) == POINT.threshold
    assert (value(sensitivity), interval(sensitivity)) == (COHORT.sensitivity, COHORT.sensitivity_interval)
    assert (value(specificity), interval(specificity)) == (COHORT.specificity, COHORT.specificity_interval)
    assert [value(items(threshold, name)[0]) for name in ("N_POSITIVES", "N_NEGATIVES")] == [144, 380]


def test_a_negative_finding_is_a_plain_group_below_its_operating_point() -> None:
    group = groups(report())[1]
    assert group.ContentTemplateSequence[0].TemplateIdentifier == "1501"
    assert items(group, "OUTCOME")[0].ConceptCodeSequence[0].CodeValue == "NOT_FLAGGED"
    assert not [item for item in group.ContentSequence if item.ValueType == "SCOORD"]


FIGURES = ("DELETION_AUC", "INSERTION_AUC", "NULL_PERCENTILE", "STABILITY", "FORWARD_PASSES")


def test_faithfulness_and_method_stand_with_the_region() -> None:
    group = groups(report())[0]
    assert items(group, "130401")[0].ConceptCodeSequence[0].CodeValue == "130402"
    (region,) = [item for item in group.ContentSequence if item.ValueType == "SCOORD"]
    assert region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID == IMAGE_UID
    figures = [items(group, name)[0] for name in FIGURES]
    assert [value(figure) for figure in figures] == [0.21, 0.74, 98.0, 0.91, 24]
    units = [figure.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue for figure in figures]
    assert units == ["1", "1", "%", "1", "{passes}"]
    assert {figure.ConceptNameCodeSequence[0].CodingSchemeDesignator for figure in figures} == {"99CANDOR"}


@pytest.mark.parametrize(("sampled", "code"), [(False, "F_EVERY"), (True, "F_SAMPLED")])
def test_figures_of_a_sample_are_marked(sampled: bool, code: str) -> None:
    measured = dataclasses.replace(FAITHFULNESS, sampled=sampled)
    group = groups(report(saliencies=(saliency(faithfulness=measured),)))[0]
    assert items(group, "F_EXTENT")[0].ConceptCodeSequence[0].CodeValue == code


def test_a_map_that_was_not_measured_has_no_figures() -> None:
    group = groups(report(saliencies=(saliency(faithfulness=None),)))[0]
    assert not [item for name in (*FIGURES, "F_EXTENT") for item in items(group, name)]


def test_a_report_whose_model_failed_the_gate_says_so_once_for_all() -> None:
    words = "the model's maps failed the map gate: weight randomisation"
    closed = report(map_gate=words, saliencies=(withheld(),))
    assert items(overall(closed), "MAP_WITHHELD")[0].TextValue == f"No map is shown, because {words}"
    assert not items(overall(report()), "MAP_WITHHELD")


def test_a_withheld_map_is_not_shown_and_the_report_says_why() -> None:
    group = groups(report(saliencies=(withheld(),)))[0]
    assert not items(group, "111030")
    assert items(group, "MAP_WITHHELD")[0].TextValue == "Map withheld because the model failed the randomisation test"


def test_an_operating_point_of_a_cohort_is_never_silent() -> None:
    group = groups(report(findings=(of_cohort(),)))[0]
    assert items(group, "COHORT_POINT")[0].TextValue == (
        "Operating point of the cohort view AP (operating policy 3, signed off 2026-11-02), not that of all patients"
    )
    assert not items(groups(report())[0], "COHORT_POINT")


def test_nothing_flagged_is_stated() -> None:
    negative = report(findings=(finding(probability=0.2),), saliencies=())
    assert conclusion(negative)[:2] == ["Flagged: nothing.", "Looked for and not flagged: Lung opacity."]
    assert items(overall(negative), "111017")[0].ConceptCodeSequence[0].CodeValue == "111241"
    assert items(overall(report()), "111017")[0].ConceptCodeSequence[0].CodeValue == "111242"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (ReportStatus.NOT_ANALYSED, "Could not analyse, because: the pixel data is truncated."),
        (ReportStatus.REFUSED, "No model takes this study, because: the pixel data is truncated."),
        (ReportStatus.FAILED, "The analysis failed, because: the pixel data is truncated."),
    ],
)
def test_a_report_without_analysis_says_why(status: ReportStatus, words: str) -> None:
    model = MODEL if status is ReportStatus.NOT_ANALYSED else None
    silent = report(status=status, reason="the pixel data is truncated", model=model, findings=(), saliencies=())
    assert conclusion(silent) == [words]
    assert items(overall(silent), "111017")[0].ConceptCodeSequence[0].CodeValue == "111245"


def test_limitations_and_the_disclaimer_are_in_the_report() -> None:
    section = overall(report())
    assert items(section, "LIMITATION")[0].TextValue == report().limitations[0]
    assert "not a medical device" in items(section, "DISCLAIMER")[0].TextValue


def test_a_superseding_report_names_its_predecessor() -> None:
    newer = report(
        study=study(revision=2), predecessor_sop_instance_uid="2.25.77", predecessor_series_instance_uid="2.25.78"
    )
    (predecessor,) = read(newer).PredecessorDocumentsSequence
    (series,) = predecessor.ReferencedSeriesSequence
    assert (predecessor.StudyInstanceUID, series.SeriesInstanceUID) == (STUDY_UID, "2.25.78")
    assert series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.77"
    assert "PredecessorDocumentsSequence" not in read(report())


def test_private_codes_are_declared() -> None:
    (scheme,) = read(report()).CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99CANDOR"


def test_no_code_meaning_is_longer_than_64_characters() -> None:
    wordy = dataclasses.replace(OPACITY, meaning="opacity, of which there is more to say than fits " * 2)
    document = read(report(findings=(dataclasses.replace(finding(), code=wordy),)))
    meanings = [e.value for e in document.iterall() if e.keyword == "CodeMeaning"]
    assert max(map(len, meanings)) == 64


def test_the_report_never_calls_the_region_a_location_of_disease() -> None:
    text = render_text(sr_bytes(report())).lower()
    assert "region that influenced the model" in text
    assert "location of disease" not in text


def test_the_text_shows_every_value_of_the_tree() -> None:
    text = render_text(sr_bytes(report()))
    for line in (
        "Imaging Measurement Report (COMPLETE PRELIMINARY UNVERIFIED)",
        "      Finding: Lung opacity (RID28530, RADLEX)",
        "      Probability: 0.871",
        "      Image Region: POLYLINE of 5 points",
        "        Case Sensitivity: 0.85",
        "        Number of positives: 144 studies",
        "  Conclusion: Flagged: Lung opacity.",
    ):
        assert line in text.splitlines()


def test_only_groups_with_a_region_are_measurements_so_that_viewers_draw_them() -> None:
    """OHIF 3.13.2 ends at the first measurement group without coordinates and draws none."""
    by_section = {
        str(section.ConceptNameCodeSequence[0].CodeValue): [
            [str(item.ValueType) for item in group.ContentSequence]
            for group in section.ContentSequence
            if group.ConceptNameCodeSequence[0].CodeValue == "125007"
        ]
        for section in read(report()).ContentSequence
        if "ContentSequence" in section
    }
    assert ["SCOORD" in group for group in by_section["126010"]] == [True]
    assert ["SCOORD" in group for group in by_section["C0034375"]] == [False]
    sections = [str(i.ConceptNameCodeSequence[0].CodeValue) for i in read(report(saliencies=())).ContentSequence]
    assert "126010" not in sections
    assert "C0034375" in sections
