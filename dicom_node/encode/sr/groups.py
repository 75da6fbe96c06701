"""The measurement groups of the report: one per finding, one per cohort statement (TID 1410 and TID 1501).

A finding with a region is a planar ROI group (TID 1410), which is what viewers look for; without one it is
a plain group (TID 1501). TID 1410 has room for one region, so the largest is the group's own and the others are
what its probability is inferred from. The region is given as coordinates and not as a reference to the SEG: the
same SR then goes to destinations that take the SEG and to those that do not, and never dangles. SEG and SR share
the tracking UID.
"""

from __future__ import annotations

from functools import lru_cache

import highdicom.sr as hd
from pydicom.dataset import Dataset

from core.domain.code import Code
from core.domain.explanation import Faithfulness, Saliency
from core.domain.model import ModelVersion, OperatingPoint
from core.domain.report import CohortMetric, Reading, Report
from core.wording import point_in_words
from dicom_node.encode import concepts
from dicom_node.encode.shell import REGION_WORDS
from dicom_node.encode.sources import Subject
from dicom_node.encode.sr.content import (
    HAS_PROPERTIES,
    Interval,
    Outline,
    code,
    container,
    interval,
    number,
    outline,
    text,
)
from dicom_node.encode.uids import derive_uid, tracking_uid
from dicom_node.encode.writing import encoded_items, put_children

Placed = tuple[Outline, Dataset]
"""An outline and the header of the image that it is on."""


def finding_group(subject: Subject, images: list[hd.ContentItem]) -> hd.ContentItem:
    """One finding: what, how probable, against which operating point, by which algorithm, where (TID 1410 / 1501).

    `images`: references to what was read, for a group without a region; empty where the report speaks of one image.
    The children are put in as bytes: what is the same in every report of a model version is encoded once.
    """
    finding, saliency = subject.finding, subject.saliency
    outlines = _outlines(subject)
    measured = [
        number(concepts.PROBABILITY, finding.probability, children=inferred_from(outlines[1:])),
        number(concepts.SCORE, finding.score),
    ]
    where = region(outlines[:1]) or images
    children = (
        encoded_items(hd.TrackingIdentifier(tracking_uid(subject.report, subject.reading, finding.name), finding.name)),
        _finding_code(finding.code),
        encoded_items([*where, *finding_sites(subject.source)]),
        _algorithm(subject.reading.model),
        encoded_items(measured),
        _operating_point(finding.operating_point),
        _result(finding.is_positive),
        encoded_items(explanation(saliency, has_region=bool(outlines)) if saliency else ()),
    )
    group = container(concepts.MEASUREMENT_GROUP, (), template="1410" if outlines else "1501")
    put_children(group, b"".join(children))
    return group


@lru_cache(maxsize=256)
def _finding_code(finding: Code) -> bytes:
    return encoded_items([code(concepts.FINDING, concepts.concept(finding))])


@lru_cache(maxsize=64)
def _algorithm(model: ModelVersion) -> bytes:
    return encoded_items(algorithm(model))


@lru_cache(maxsize=256)
def _operating_point(point: OperatingPoint) -> bytes:
    items = [operating_point(point)]
    if point.policy:
        items.append(text(concepts.COHORT_POINT, f"Operating point {point_in_words(point)}"))
    return encoded_items(items)


@lru_cache(maxsize=2)
def _result(is_positive: bool) -> bytes:
    return encoded_items([code(concepts.RESULT, concepts.ABOVE if is_positive else concepts.BELOW)])


def unread_group(report: Report, reading: Reading, images: list[hd.ContentItem]) -> hd.ContentItem:
    """A reading without a result among others: which model, of which images, and why (TID 1501)."""
    tracking = derive_uid(tracking_uid(report, reading, ""), "not analysed")
    children: list[hd.ContentItem] = [
        *hd.TrackingIdentifier(tracking, "not analysed"),
        code(concepts.FINDING, concepts.NOT_ANALYSED),
        *images,
        *algorithm(reading.model),
        text(concepts.REASON, reading.reason or "no reason was given"),
    ]
    return container(concepts.MEASUREMENT_GROUP, children, template="1501")


def region(outlines: list[Placed]) -> list[hd.ContentItem]:
    """The group's own region (TID 1410 has room for one)."""
    return [
        hd.ImageRegion(
            hd.GraphicTypeValues.POLYLINE, points, hd.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID)
        )
        for points, source in outlines
    ]


def _outlines(subject: Subject) -> list[Placed]:
    """The outlines that are shown with the image they are on: of the main image first, the largest first."""
    return [
        (outline(region, located.source), located.source)
        for located in subject.shown
        for region in sorted(located.saliency.regions, key=lambda region: -region.area_pixels)
    ]


def finding_sites(source: Dataset) -> list[hd.ContentItem]:
    """The body part that was imaged, as far as the source says; the side only where the image is of one side."""
    site = concepts.SITES.get(source.get("BodyPartExamined", ""))
    if site is None:
        return []
    side = source.get("ImageLaterality") or source.get("Laterality")
    return [hd.FindingSite(site, laterality=concepts.LATERALITY.get(side))]


def algorithm(model: ModelVersion) -> list[hd.ContentItem]:
    """The model version that made the finding (TID 4019)."""
    return [
        *hd.AlgorithmIdentification(
            name=model.name,
            version=model.version,
            manufacturer=model.manufacturer or None,
            parameters=parameters_of(model),
            family=concepts.ARTIFICIAL_INTELLIGENCE,
        )
    ]


def parameters_of(model: ModelVersion) -> list[str]:
    """What pins the algorithm down: its weights, and its card, which has no address but in the installation."""
    parameters = [f"sha256 of the weights: {model.sha256}"]
    if model.card_sha256:
        parameters.append(
            f"model card: candor models show {model.name} {model.version}; sha256 of the card: {model.card_sha256}"
        )
    return parameters


def inferred_from(outlines: list[Placed]) -> list[hd.ContentItem]:
    """Further regions, as coordinates that the probability is inferred from (TID 320)."""
    return [
        hd.CoordinatesForMeasurement(
            hd.GraphicTypeValues.POLYLINE, points, hd.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID)
        )
        for points, source in outlines
    ]


def operating_point(point: OperatingPoint) -> hd.ContentItem:
    """The threshold, and as its properties what it was chosen for: sensitivity and specificity with intervals."""
    properties = [
        rate(concepts.SENSITIVITY, point.sensitivity, point.sensitivity_interval),
        rate(concepts.SPECIFICITY, point.specificity, point.specificity_interval),
    ]
    for name, count in ((concepts.POSITIVES, point.positives), (concepts.NEGATIVES, point.negatives)):
        if count is not None:
            properties.append(number(name, count, unit=concepts.STUDIES, relationship=HAS_PROPERTIES))
    return number(concepts.THRESHOLD, point.threshold, children=properties)


def rate(name: hd.CodedConcept, value: float, limits: Interval | None) -> hd.ContentItem:
    """A sensitivity or specificity of the operating point, with its interval."""
    return number(name, value, relationship=HAS_PROPERTIES, children=interval(limits))


def explanation(saliency: Saliency, *, has_region: bool) -> list[hd.ContentItem]:
    """The method of the map and how faithful it is, or why it is withheld."""
    items: list[hd.ContentItem] = [code(concepts.VISUAL_EXPLANATION, concepts.concept(saliency.method))]
    if not saliency.shown:
        why = saliency.withheld_reason or "it did not pass the map gate"
        items.append(text(concepts.MAP_WITHHELD, f"Map withheld because {why}"))
    elif saliency.no_region:
        items.append(text(concepts.REGION_MEANING, f"No region: {saliency.no_region}"))
    elif has_region:
        items.append(text(concepts.REGION_MEANING, REGION_WORDS.capitalize()))
    if saliency.faithfulness is not None:
        items += faithfulness(saliency.faithfulness)
    return items


def faithfulness(measured: Faithfulness) -> list[hd.ContentItem]:
    """How far to trust the map on this very image; no standard code names these figures, so they are ours."""
    extent = concepts.SAMPLE_OF_REPORTS if measured.sampled else concepts.EVERY_REPORT
    figures = [number(name, value, unit=unit) for name, value, unit in concepts.faithfulness_figures(measured)]
    return [*figures, code(concepts.EXTENT, extent)]


def cohort_group(report: Report, reading: Reading, metric: CohortMetric) -> hd.ContentItem:
    """How well the model does for patients like this one, for one finding (TID 1501)."""
    about = next((f for f in reading.findings if f.name == metric.finding_name), None)
    tracking = derive_uid(tracking_uid(report, reading, metric.finding_name), "cohort", metric.cohort)
    children: list[hd.ContentItem] = [
        *hd.TrackingIdentifier(tracking, f"{metric.finding_name}: {metric.cohort}"),
        code(concepts.FINDING, concepts.COHORT_PERFORMANCE),
    ]
    if about is not None:
        children.append(code(concepts.ABOUT_FINDING, concepts.concept(about.code)))
    children.append(text(concepts.COHORT, metric.cohort))
    children += cohort_rate(concepts.SENSITIVITY, metric.sensitivity, metric.sensitivity_interval, metric.positives)
    children += cohort_rate(concepts.SPECIFICITY, metric.specificity, metric.specificity_interval, metric.negatives)
    children.append(number(concepts.POSITIVES, metric.positives, unit=concepts.STUDIES))
    children.append(number(concepts.NEGATIVES, metric.negatives, unit=concepts.STUDIES))
    children.append(text(concepts.EVIDENCE_SOURCE, metric.source or "not stated"))
    if metric.fallback:
        children.append(text(concepts.FALLBACK, metric.fallback))
    return container(concepts.MEASUREMENT_GROUP, children, template="1501")


def cohort_rate(
    name: hd.CodedConcept, value: float | None, limits: Interval | None, count: int
) -> list[hd.ContentItem]:
    """The figure with its interval, or the plain words that there is too little data for one."""
    if value is None:
        return [text(concepts.INSUFFICIENT, f"{name.meaning}: insufficient data ({count})")]
    return [number(name, value, children=interval(limits))]
