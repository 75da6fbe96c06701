"""A structured report that a person verified: what it holds to be there, and which reports it speaks of.

Candor never verifies. When somebody at the PACS verifies our report (PS3.3 C.17.2, VerificationFlag VERIFIED with the
name of the verifying observer), the document that comes back says what that person vouches for. Whether it really is
one of ours the store decides: this only reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import structlog
from pydicom.dataset import Dataset

from dicom_node.header.values import Values

CodeKey = tuple[str, str]
"""Value and coding scheme of a code."""

_OUTCOMES = {  # ours, in the words of this version and of those up to 0.2.0
    ("OUTCOME", "FLAGGED"): True,
    ("OUTCOME", "NOT_FLAGGED"): False,
    ("RESULT", "ABOVE_OP"): True,
    ("RESULT", "BELOW_OP"): False,
}
_MEASUREMENT_GROUP, _FINDING, _SCHEME = "125007", "121071", "99CANDOR"
_DEEPEST = 4  # document, measurements, group, item
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReport:
    """What a person put a name under.

    `findings`: code of the finding -> whether it is flagged, as the document says; one of several images is flagged
    where one of its groups is. `sop_instance_uids`: the document itself and those it was made from. `verified_at`:
    seconds since the epoch, read as UTC, or None.
    """

    sop_instance_uids: tuple[str, ...] = field(repr=False)
    observer: str = field(repr=False)
    verified_at: float | None
    findings: dict[CodeKey, bool]


def verified_report(header: Dataset) -> VerifiedReport | None:
    """What a verified report says; None for everything else, and for what cannot be read."""
    if Values(header).text("VerificationFlag") != "VERIFIED":
        return None
    try:
        return _read(header)
    except Exception as error:  # noqa: BLE001 boundary: hostile bytes may break the parser in any way
        _log.warning("verified_report.unreadable", error=type(error).__name__)
        return None


def _read(header: Dataset) -> VerifiedReport | None:
    observers = [Values(item) for item in header.get("VerifyingObserverSequence", [])]
    names = [observer.text("VerifyingObserverName") for observer in observers]
    if not any(names):
        return None  # a flag without a name
    findings: dict[CodeKey, bool] = {}
    for finding, is_flagged in _findings(header, 1):
        findings[finding] = findings.get(finding, False) or is_flagged
    moments = [moment for observer in observers if (moment := observer.moment("VerificationDateTime"))]
    return VerifiedReport(
        sop_instance_uids=(Values(header).text("SOPInstanceUID"), *_predecessors(header)),
        observer=next(name for name in reversed(names) if name),
        verified_at=max(moments).timestamp() if moments else None,
        findings=findings,
    )


def _predecessors(header: Dataset) -> Iterator[str]:
    for study in header.get("PredecessorDocumentsSequence", []):
        for series in study.get("ReferencedSeriesSequence", []):
            for instance in series.get("ReferencedSOPSequence", []):
                yield Values(instance).text("ReferencedSOPInstanceUID")


def _findings(item: Dataset, depth: int) -> Iterator[tuple[CodeKey, bool]]:
    children = [(_code_of(child, "ConceptNameCodeSequence"), child) for child in item.get("ContentSequence", [])]
    for (name, _), child in children:
        if name == _MEASUREMENT_GROUP:
            yield from _finding(child)
        elif depth < _DEEPEST:
            yield from _findings(child, depth + 1)


def _finding(group: Dataset) -> Iterator[tuple[CodeKey, bool]]:
    """The finding of a measurement group and its outcome, by the codes that our reports bear."""
    finding, outcome = ("", ""), None
    for child in group.get("ContentSequence", []):
        name, scheme = _code_of(child, "ConceptNameCodeSequence")
        value, of_scheme = _code_of(child, "ConceptCodeSequence")
        if name == _FINDING:
            finding = (value, of_scheme)
        elif scheme == of_scheme == _SCHEME:
            outcome = _OUTCOMES.get((name, value), outcome)
    if all(finding) and outcome is not None:
        yield finding, outcome


def _code_of(item: Dataset, keyword: str) -> CodeKey:
    codes = item.get(keyword) or [Dataset()]
    values = Values(codes[0])
    return values.text("CodeValue"), values.text("CodingSchemeDesignator")
