"""The measurement groups of the report: one per finding, and one per reading without a result (TID 1410, 1501).

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
from core.wording import performance_in_words, point_in_words, verdict_in_words
from dicom_node.encode import concepts
from dicom_node.encode.shell import REGION_WORDS
from dicom_node.encode.sources import Subject
from dicom_node.encode.sr.anatomy import finding_sites
from dicom_node.encode.sr.content import (
    DIGITS,
    HAS_PROPERTIES,
    Interval,
    Outline,
    apart,
    code,
    container,
    interval,
    number,
    outline,
    text,
)
from dicom_node.encode.uids import derive_uid, tracking_uid
from dicom_node.encode.writing import encoded_items, put_children

_PLANAR = "1410"  # the template of a group with a region
Placed = tuple[Outline, Dataset]
"""An outline and the header of the image that it is on."""


def finding_group(subject: Subject, images: list[hd.ContentItem]) -> hd.ContentItem:
    """One finding: what, whether it is flagged, what that means, how probable, by which algorithm, where.

    `images`: references to what was read, for a group without a region (TID 1501; with one it is TID 1410); empty where
    the report speaks of one image. The children are put in as bytes: what is the same in every report of a model
    version is encoded once.
    """
    finding, reading, saliency = subject.finding, subject.reading, subject.saliency
    metric = reading.performance_of(finding.name)
    outlines = _outlines(subject)
    probability, threshold = apart(finding.probability, finding.operating_point.threshold)
    children = (
        encoded_items(_tracking(subject)),
        _finding_code(finding.code),
        _outcome(finding.is_flagged),
        encoded_items([text(concepts.VERDICT, verdict_in_words(finding, metric))]),
        encoded_items([*(region(outlines[:1]) or images), *finding_sites(subject.source, reading, finding)]),
        _algorithm(reading.model),
        encoded_items([number(concepts.PROBABILITY, probability, children=inferred_from(outlines[1:]))]),
        _operating_point(finding.operating_point, threshold, metric),
        encoded_items(explanation(saliency, has_region=bool(outlines)) if saliency else ()),
        encoded_items([number(concepts.SCORE, round(finding.score, DIGITS))]),
    )
    group = container(concepts.MEASUREMENT_GROUP, (), template=_PLANAR if outlines else "1501")
    put_children(group, b"".join(children))
    return group


def has_region(group: hd.ContentItem) -> bool:
    """Whether a group has coordinates of its own (TID 1410).

    Only those are among the Imaging Measurements: OHIF 3.13.2 ends at the first one without, and shows no region at
    all. The others are Qualitative Evaluations (docs/decisions/0020).
    """
    return str(group.ContentTemplateSequence[0].TemplateIdentifier) == _PLANAR


def _tracking(subject: Subject) -> hd.TrackingIdentifier:
    report, reading, finding = subject.report, subject.reading, subject.finding
    return hd.TrackingIdentifier(tracking_uid(report, reading, finding.name), subject.tracking_identifier)


@lru_cache(maxsize=256)
def _finding_code(finding: Code) -> bytes:
    return encoded_items([code(concepts.FINDING, concepts.concept(finding))])


@lru_cache(maxsize=64)
def _algorithm(model: ModelVersion) -> bytes:
    return encoded_items(algorithm(model))


@lru_cache(maxsize=256)
def _operating_point(point: OperatingPoint, threshold: float, metric: CohortMetric | None) -> bytes:
    items = [operating_point(threshold, metric), text(concepts.PERFORMANCE, performance_in_words(metric))]
    if point.policy:
        items.append(text(concepts.COHORT_POINT, f"Operating point {point_in_words(point)}"))
    return encoded_items(items)


@lru_cache(maxsize=2)
def _outcome(is_flagged: bool) -> bytes:
    return encoded_items([code(concepts.OUTCOME, concepts.FLAGGED if is_flagged else concepts.NOT_FLAGGED)])


def unread_group(report: Report, reading: Reading, images: list[hd.ContentItem]) -> hd.ContentItem:
    """A reading without a result among others: which model, of which images, and why (TID 1501)."""
    tracking = derive_uid(tracking_uid(report, reading, ""), "not analysed")
    children: list[hd.ContentItem] = [
        *hd.TrackingIdentifier(tracking, f"Could not be analysed: {report.which(reading)}"),
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


def algorithm(model: ModelVersion) -> list[hd.ContentItem]:
    """The model version that made the finding (TID 4019)."""
    return [
        *hd.AlgorithmIdentification(
            name=model.name,
            version=model.version,
            manufacturer=model.manufacturer or None,
            family=concepts.ARTIFICIAL_INTELLIGENCE,
        )
    ]


def inferred_from(outlines: list[Placed]) -> list[hd.ContentItem]:
    """Further regions, as coordinates that the probability is inferred from (TID 320)."""
    return [
        hd.CoordinatesForMeasurement(
            hd.GraphicTypeValues.POLYLINE, points, hd.SourceImageForRegion(source.SOPClassUID, source.SOPInstanceUID)
        )
        for points, source in outlines
    ]


def operating_point(threshold: float, metric: CohortMetric | None) -> hd.ContentItem:
    """The threshold, and as its properties what was measured there: rates with intervals, and how many patients.

    Nothing where nothing was counted: a figure without patients behind it is a claim.
    """
    properties: list[hd.ContentItem] = []
    if metric is not None and (metric.positives or metric.negatives):
        properties += rate(concepts.SENSITIVITY, metric.sensitivity, metric.sensitivity_interval)
        properties += rate(concepts.SPECIFICITY, metric.specificity, metric.specificity_interval)
        for name, count in ((concepts.POSITIVES, metric.positives), (concepts.NEGATIVES, metric.negatives)):
            properties.append(number(name, count, unit=concepts.STUDIES, relationship=HAS_PROPERTIES))
    return number(concepts.THRESHOLD, threshold, children=properties)


def rate(name: hd.CodedConcept, value: float | None, limits: Interval | None) -> list[hd.ContentItem]:
    """A sensitivity or specificity with its interval; nothing where too few patients were counted."""
    if value is None:
        return []
    return [number(name, round(value, DIGITS), relationship=HAS_PROPERTIES, children=interval(limits))]


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
    figures = [
        number(name, round(value, 2), unit=unit) for name, value, unit in concepts.faithfulness_figures(measured)
    ]
    return [*figures, code(concepts.EXTENT, extent)]
