"""Raw images (PS3.3 C.8.11.1, C.7.6.1.1.2): what says that they are, what is read instead, and what is said if none."""

from __future__ import annotations

from datetime import datetime

import pytest

from dicom_node.header.read import read_header, to_instance
from inference.origin import is_raw
from inference.select import select
from tests.contract.dicom_peers import dx_dataset, part10
from tests.unit.inference.test_select import image, packages, study  # noqa: F401  # packages: a fixture

CLASS = "1.2.840.10008.5.1.4.1.1."
CR, DX, DX_RAW, MG, MG_RAW, IO, IO_RAW = (CLASS + end for end in ("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1"))
PROCESSING, PRESENTATION = {"PresentationIntentType": "FOR PROCESSING"}, {"PresentationIntentType": "FOR PRESENTATION"}


def typed(*values: str) -> dict[str, object]:
    return {"ImageType": list(values)}


RAW: dict[str, dict[str, object]] = {
    "DX by its intent": {"SOPClassUID": DX, **PROCESSING},
    "DX by its class": {"SOPClassUID": DX_RAW},
    "DX by both": {"SOPClassUID": DX_RAW, **PROCESSING},
    "DX whose class and intent disagree": {"SOPClassUID": DX_RAW, **PRESENTATION},
    "DX by its intent in small letters": {"SOPClassUID": DX, "PresentationIntentType": "for processing"},
    "DX by its intent with an underscore": {"SOPClassUID": DX, "PresentationIntentType": "FOR_PROCESSING"},
    "DX by its intent with two spaces": {"SOPClassUID": DX, "PresentationIntentType": "FOR  PROCESSING"},
    "MG by its intent": {"SOPClassUID": MG, **PROCESSING},
    "MG by its class": {"SOPClassUID": MG_RAW},
    "IO by its intent": {"SOPClassUID": IO, **PROCESSING},
    "IO by its class": {"SOPClassUID": IO_RAW},
    "CR by an intent that it need not have": {"SOPClassUID": CR, **PROCESSING},
    "CR by value 3": {"SOPClassUID": CR, **typed("ORIGINAL", "PRIMARY", "RAW")},
    "CR by value 4": {"SOPClassUID": CR, **typed("ORIGINAL", "PRIMARY", "", "RAW")},
    "CR by value 4, raw data": {"SOPClassUID": CR, **typed("ORIGINAL", "PRIMARY", "", "RAW_DATA")},
    "CR by value 4, raw image": {"SOPClassUID": CR, **typed("ORIGINAL", "PRIMARY", "", "RAWIMAGE")},
    "CR by value 4, for processing": {"SOPClassUID": CR, **typed("ORIGINAL", "PRIMARY", "", "FOR PROCESSING")},
    "CR by value 3, unprocessed": {"SOPClassUID": CR, **typed("ORIGINAL", "PRIMARY", "UNPROCESSED")},
    "CR by value 5, small letters": {"SOPClassUID": CR, **typed("ORIGINAL", "PRIMARY", "", "", "raw")},
    "DX by value 4, without an intent": {"SOPClassUID": DX, **typed("ORIGINAL", "PRIMARY", "", "RAW")},
    "derived and raw": {"SOPClassUID": DX, **typed("DERIVED", "PRIMARY"), **PROCESSING},
}
SHOWN: dict[str, dict[str, object]] = {
    "DX": {"SOPClassUID": DX, **PRESENTATION},
    "DX without an intent": {"SOPClassUID": DX},
    "DX with an empty intent": {"SOPClassUID": DX, "PresentationIntentType": ""},
    "DX with another intent": {"SOPClassUID": DX, "PresentationIntentType": "FOR REVIEW"},
    "CR": {"SOPClassUID": CR},
    "CR, original": {"SOPClassUID": CR, **typed("ORIGINAL", "PRIMARY")},
    "CR whose first value says raw, which is no such value": {"SOPClassUID": CR, **typed("RAW", "PRIMARY")},
    "CR with a word that begins alike": {"SOPClassUID": CR, **typed("ORIGINAL", "PRIMARY", "", "RAWLINGS")},
    "MG": {"SOPClassUID": MG, **PRESENTATION},
    "IO": {"SOPClassUID": IO, **PRESENTATION},
    "a capture": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
}


@pytest.mark.parametrize("name", [*RAW, *SHOWN])
def test_what_says_that_an_image_is_raw(name: str) -> None:
    instance = to_instance(read_header(part10(dx_dataset(**{**RAW, **SHOWN}[name]))))
    assert is_raw(instance) is (name in RAW)


AT = datetime(2026, 11, 2, 9, 30)
KEYS = {"SOPClassUID": "sop_class_uid", "PresentationIntentType": "presentation_intent_type", "ImageType": "image_type"}


def of(number: int, elements: dict[str, object]):
    """The same image with a view and a time, as of a chest."""
    values = {KEYS[k]: tuple(v) if isinstance(v, list) else v for k, v in elements.items()}
    return image(number, acquired_at=AT, **values)


@pytest.mark.parametrize("name", RAW)
def test_raw_data_are_left_to_the_image_that_the_device_shows(packages, name: str) -> None:  # noqa: F811
    raw, shown = of(1, RAW[name]), of(2, {**PRESENTATION, **typed("DERIVED", "PRIMARY")})
    for images in ((raw, shown), (shown, raw)):
        selection = select(study(*images), packages)
        assert [choice.what.instances[0] for choice in selection.choices] == [shown]
        assert [choice.what.instances[0] for choice in selection.reserves] == [raw]


@pytest.mark.parametrize("name", RAW)
def test_raw_data_alone_are_read_and_that_is_said(packages, name: str) -> None:  # noqa: F811
    (choice,) = select(study(of(1, RAW[name])), packages).choices
    assert any("FOR PROCESSING" in limitation for limitation in choice.limitations)


@pytest.mark.parametrize("name", [name for name in SHOWN if name != "a capture"])
def test_of_what_is_shown_nothing_is_said(packages, name: str) -> None:  # noqa: F811
    (choice,) = select(study(of(1, SHOWN[name])), packages).choices
    assert choice.limitations == ()
