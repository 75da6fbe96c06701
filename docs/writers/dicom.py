"""Tables of the conformance statement: SOP classes, transfer syntaxes, series and codes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from highdicom.sr import CodedConcept
from pydicom.uid import UID
from writers.markdown import table

from core.domain.report import ObjectKind
from dicom_node import sop_classes, status
from dicom_node.encode import concepts, shell


def tables() -> dict[str, Callable[[], str]]:
    """What writes each table, by the table's name."""
    return {
        "image-sop-classes": lambda: _uids(sop_classes.IMAGE_SOP_CLASSES),
        "filed-sop-classes": lambda: _uids(sop_classes.FILED_SOP_CLASSES),
        "result-sop-classes": lambda: _uids(sop_classes.RESULT_SOP_CLASSES),
        "transfer-syntaxes": _transfer_syntaxes,
        "result-series": _result_series,
        "private-codes": _private_codes,
        "statuses": _statuses,
    }


def _uids(found: Iterable[UID]) -> str:
    return table(("SOP class", "UID"), sorted((uid.name, f"`{uid}`") for uid in found))


def _transfer_syntaxes() -> str:
    known = [*sop_classes.UNCOMPRESSED, *sop_classes.COMPRESSED]
    return table(("transfer syntax", "UID"), [(uid.name, f"`{uid}`") for uid in known])


def _result_series() -> str:
    rows = [
        (f"`{kind}`", modality, str(number), words)
        for kind in ObjectKind
        for number, modality, words in [shell._SERIES[kind]]
    ]
    return table(("object", "Modality", "Series Number", "Series Description"), rows)


def _private_codes() -> str:
    found = [*vars(concepts).values(), *(concept for concept, _ in concepts.FAITHFULNESS.values())]
    ours = {code.value: code.meaning for code in found if _is_private(code)}
    return table(("code value", "code meaning"), sorted((f"`{value}`", meaning) for value, meaning in ours.items()))


def _is_private(found: object) -> bool:
    return isinstance(found, CodedConcept) and found.scheme_designator == concepts.PRIVATE_SCHEME


def _statuses() -> str:
    rows = [(_range(found), found.meaning, found.handling.value, found.clause) for found in status.STATUSES]
    return table(("status", "meaning", "what follows", "clause"), rows)


def _range(found: status.Status) -> str:
    first = f"0x{found.number:04X}"
    return first if found.last == found.number else f"{first} - 0x{found.last:04X}"
