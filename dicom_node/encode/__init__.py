"""Write a report as DICOM: SR, SC overlay, presentation state, segmentations, parametric map.

One call, `encode`, gives whole Part 10 files in memory. Nothing here decodes pixels, looks at the clock or draws
a UID, so encoding the same report twice gives the same bytes and sending it twice is harmless. Importing this
package loads highdicom (about a second): the process that receives images must not, and does not, import it.

The pipeline asks twice: first for the SR alone, which is filed and sent as soon as it is written, then for the
pictures (docs/decisions/0005). SEG, GSPS and SC are made for each finding above its operating point; SEG and GSPS
only where a map may be shown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from core.domain.explanation import Saliency
from core.domain.model import ModelVersion
from core.domain.report import Finding, ObjectKind, Report, ResultObject
from core.domain.study import Image
from core.errors import Unsupported
from dicom_node.encode.gsps import encode_gsps
from dicom_node.encode.pmap import encode_pmap, lies_in_a_frame_of_reference
from dicom_node.encode.sc import encode_sc
from dicom_node.encode.seg import can_be_segmented, encode_seg
from dicom_node.encode.source import describe_study, read_source
from dicom_node.encode.sr.groups import saliency_of, shown_saliency
from dicom_node.encode.sr.report import encode_sr

__all__ = ["encode"]

_ORDER = (ObjectKind.SEG, ObjectKind.SEG_FRACTIONAL, ObjectKind.PMAP, ObjectKind.GSPS, ObjectKind.SC, ObjectKind.SR)


def encode(
    report: Report,
    sources: Mapping[str, bytes],
    images: Mapping[str, Image],
    kinds: Collection[ObjectKind],
) -> tuple[ResultObject, ...]:
    """Encode `report` as objects of `kinds`, always in the same order, with the SR at the end of one call.

    `sources`: SOP Instance UID -> Part 10 bytes of the images that matter (the analysed one; any of the study when
    none was analysed; may be empty then). `images`: SOP Instance UID -> the analysed image as displayed, needed for
    SC only. A kind for which the report has nothing to show gives no object.

    Raises Unsupported for a kind that cannot be made of what was given: unknown, or without its image.
    """
    if unknown := set(kinds) - set(_ORDER):
        raise Unsupported(f"Results cannot be encoded as {', '.join(sorted(map(str, unknown)))}.")
    source = _source_header(report, sources)
    return tuple(
        result for kind in _ORDER if kind in kinds for result in _objects(report, source, images, ObjectKind(kind))
    )


def _source_header(report: Report, sources: Mapping[str, bytes]) -> Dataset:
    """The header that the results copy from: the analysed image's, else any of the study, else the store's."""
    analysed = report.analysed_sop_instance_uid
    part10 = sources.get(analysed) or next((data for data in sources.values() if not analysed), None)
    try:
        if part10:
            return read_source(part10)
    except (InvalidDicomError, EOFError, ValueError, NotImplementedError):
        pass  # the report may be about exactly this: images that cannot be read
    instances = [instance for series in report.study.series for instance in series.instances]
    instance = next((i for i in instances if i.sop_instance_uid == analysed), instances[0] if instances else None)
    return describe_study(report.study, instance)


def _objects(report: Report, source: Dataset, images: Mapping[str, Image], kind: ObjectKind) -> Iterator[ResultObject]:
    if kind is ObjectKind.SR:
        yield encode_sr(report, source)
        return
    if report.model is None:
        return
    for finding in report.findings:
        if kind is ObjectKind.SC:
            if finding.is_positive:
                yield encode_sc(report, finding, saliency_of(report, finding), source, _image(report, images))
        elif saliency := shown_saliency(report, finding):
            _require_geometry(source, saliency)
            yield from _of_map(report, report.model, finding, saliency, source, kind)


def _of_map(
    report: Report, model: ModelVersion, finding: Finding, saliency: Saliency, source: Dataset, kind: ObjectKind
) -> Iterator[ResultObject]:
    """What is drawn of a map that may be shown; nothing where the image does not say what the kind must repeat."""
    if kind is ObjectKind.GSPS:
        yield encode_gsps(report, finding, saliency, source)
    elif kind is ObjectKind.PMAP:
        if lies_in_a_frame_of_reference(source):
            yield encode_pmap(report, model, finding, saliency, source)
    elif saliency.mask.any() and can_be_segmented(source):
        yield encode_seg(report, model, finding, saliency, source, kind)


def _image(report: Report, images: Mapping[str, Image]) -> Image:
    try:
        return images[report.analysed_sop_instance_uid]
    except KeyError:
        raise Unsupported("The overlay cannot be made, because the analysed image was not given decoded.") from None


def _require_geometry(source: Dataset, saliency: Saliency) -> None:
    if (source.get("Rows"), source.get("Columns")) != saliency.mask.shape:
        raise Unsupported("The region cannot be placed, because the analysed image's rows and columns are unknown.")
