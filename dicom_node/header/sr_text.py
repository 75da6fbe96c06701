"""A structured report as indented text, for the command line and for people who debug: any SR, not only ours."""

from __future__ import annotations

from io import BytesIO

from pydicom import dcmread
from pydicom.dataset import Dataset


def render_text(sr: bytes) -> str:
    """Render the content tree of a Part 10 SR document, one content item a line, children indented.

    Raises pydicom's InvalidDicomError when `sr` is not a DICOM file; an image gives its flags line alone.
    """
    document = dcmread(BytesIO(sr))
    flags = " ".join(str(document.get(f"{name}Flag", "")) for name in ("Completion", "Preliminary", "Verification"))
    return "\n".join([f"{_name(document)} ({flags.strip()})", *_children(document, depth=1)])


def _children(item: Dataset, depth: int) -> list[str]:
    lines = []
    for child in item.get("ContentSequence", []):
        lines.append("  " * depth + _line(child))
        lines += _children(child, depth + 1)
    return lines


def _line(item: Dataset) -> str:
    value = _value(item)
    return f"{_name(item)}: {value}" if value else _name(item)


def _name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence")
    return str(names[0].get("CodeMeaning", "")) if names else str(item.get("ValueType", "item")).lower()


def _value(item: Dataset) -> str:
    """The value of one content item in words (PS3.3 C.17.3, by value type)."""
    match item.get("ValueType"):
        case "CODE":
            concept = item.ConceptCodeSequence[0]
            value = concept.get("CodeValue") or concept.get("LongCodeValue", "")
            return f"{concept.CodeMeaning} ({value}, {concept.get('CodingSchemeDesignator', '')})"
        case "NUM":
            return _measured(item)
        case "SCOORD" | "SCOORD3D":
            return f"{item.GraphicType} of {len(item.GraphicData) // (2 if item.ValueType == 'SCOORD' else 3)} points"
        case "IMAGE" | "COMPOSITE":
            return str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        case "TEXT" | "UIDREF" | "PNAME" | "DATE" | "TIME" | "DATETIME" as kind:
            return str(item.get({"TEXT": "TextValue", "PNAME": "PersonName"}.get(kind, _PLAIN.get(kind, "")), ""))
    return ""


_PLAIN = {"UIDREF": "UID", "DATE": "Date", "TIME": "Time", "DATETIME": "DateTime"}


def _measured(item: Dataset) -> str:
    measured = item.get("MeasuredValueSequence")
    if not measured:
        return "no value"
    units = measured[0].MeasurementUnitsCodeSequence[0]
    unit = "" if units.CodeValue == "1" else f" {units.CodeMeaning}"
    return f"{float(measured[0].NumericValue):.6g}{unit}"
