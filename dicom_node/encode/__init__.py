"""Write a report as DICOM: SR, SC overlay, presentation state, segmentations, parametric map.

One call, `encode`, gives whole Part 10 files in memory. Nothing here decodes pixels, looks at the clock or draws
a UID, so encoding the same report twice gives the same bytes and sending it twice is harmless. Importing this
package loads highdicom (about a second): the process that receives images must not, and does not, import it.

The pipeline asks twice: first for the SR alone, which is filed and sent as soon as it is written, then for the
pictures (docs/decisions/0005): first a summary for each image with a flagged finding, then what is made for each
flagged finding that has a place in the image (docs/decisions/0020); SEG and GSPS only where a region may be shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from core.domain.report import ObjectKind, Report, ResultObject
from core.domain.study import Image
from core.errors import Unsupported
from dicom_node.encode.gsps import encode_gsps
from dicom_node.encode.pmap import encode_pmap, has_frame_of_reference
from dicom_node.encode.sc import encode_sc, encode_summary
from dicom_node.encode.seg import can_be_segmented, encode_seg
from dicom_node.encode.sources import Located, Sources, Subject, may_be_drawn
from dicom_node.encode.sr.rejection import encode_rejection
from dicom_node.encode.sr.report import encode_sr
from dicom_node.encode.summaries import Summary, summaries_of

__all__ = ["encode"]

_ORDER = (
    ObjectKind.SC,
    ObjectKind.SEG,
    ObjectKind.SEG_FRACTIONAL,
    ObjectKind.PMAP,
    ObjectKind.GSPS,
    ObjectKind.SC_FINDINGS,
    ObjectKind.SR,
    ObjectKind.REJECTION_NOTE,
)


def encode(
    report: Report,
    sources: Mapping[str, bytes],
    images: Mapping[str, Image],
    kinds: Collection[ObjectKind],
) -> tuple[ResultObject, ...]:
    """Encode `report` as objects of `kinds`, always in the same order, with the SR at the end of one call.

    `sources`: SOP Instance UID -> Part 10 bytes of the images that matter (those that were read, of a volume the slices
    with a region; any of the study when none was read; may be empty then). `images`: SOP Instance UID -> the images as
    displayed that positive findings are in, needed for SC only. A kind for which the report has nothing to show gives
    no object.

    Raises Unsupported for a kind that cannot be made of what was given: unknown, or without its image.
    """
    if unknown := set(kinds) - set(_ORDER):
        raise Unsupported(f"Results cannot be encoded as {', '.join(sorted(map(str, unknown)))}.")
    headers = Sources(report, sources)
    wanted = [kind for kind in _ORDER if kind in kinds and not _is_repeated(report, kind, kinds)]
    return tuple(result for kind in wanted for result in _objects(report, headers, images, kind))


def _is_repeated(report: Report, kind: ObjectKind, kinds: Collection[ObjectKind]) -> bool:
    """Whether another kind shows the same: an explanation has one finding, whose picture is its summary."""
    return kind is ObjectKind.SC_FINDINGS and ObjectKind.SC in kinds and bool(report.explanation)


def _objects(report: Report, headers: Sources, images: Mapping[str, Image], kind: ObjectKind) -> Iterator[ResultObject]:
    if kind is ObjectKind.SR:
        yield encode_sr(report, headers)
    elif kind is ObjectKind.REJECTION_NOTE:
        if report.rejected:
            yield encode_rejection(report, headers)
    elif kind is ObjectKind.SC and not report.explanation:
        for summary in summaries_of(report, headers):
            yield encode_summary(summary, _image(summary, images))
    else:
        yield from _of_findings(report, headers, images, kind)


def _of_findings(
    report: Report, headers: Sources, images: Mapping[str, Image], kind: ObjectKind
) -> Iterator[ResultObject]:
    for subject in headers.subjects():
        if kind in (ObjectKind.SC, ObjectKind.SC_FINDINGS):
            if may_be_drawn(report, subject.finding):
                yield encode_sc(subject, _image(subject, images), kind)
        elif subject.shown:
            for located in subject.shown:
                _require_geometry(located)
            yield from _of_map(subject, kind)


def _of_map(subject: Subject, kind: ObjectKind) -> Iterator[ResultObject]:
    """What is drawn of a map that may be shown; nothing where the image does not say what the kind must repeat."""
    sources = [located.source for located in subject.shown]
    if kind is ObjectKind.GSPS:
        yield encode_gsps(subject)
    elif kind is ObjectKind.PMAP:
        if all(map(has_frame_of_reference, sources)):
            yield encode_pmap(subject)
    elif any(located.saliency.mask.any() for located in subject.shown) and all(map(can_be_segmented, sources)):
        yield encode_seg(subject, kind)


def _image(subject: Subject | Summary, images: Mapping[str, Image]) -> Image:
    try:
        return images[subject.instance.sop_instance_uid]
    except KeyError:
        raise Unsupported("The picture cannot be made, because its image was not given decoded.") from None


def _require_geometry(located: Located) -> None:
    if (located.source.get("Rows"), located.source.get("Columns")) != located.saliency.mask.shape:
        raise Unsupported("The region cannot be placed, because the rows and columns of its image are unknown.")
