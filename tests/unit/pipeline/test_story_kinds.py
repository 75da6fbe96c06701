"""Studies of several images: which is read, which follows one that cannot be read, and why each other one is not.

The answers are written by hand, from PS3.3 C.7.6.1.1.2 (Image Type), C.8.11 (DX) and A.8 (secondary capture).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from core.domain.study import Instance
from tests.unit.inference.test_select import image
from tests.unit.pipeline.test_story_images import listed, package, read  # noqa: F401  # package: a fixture

AT = datetime(2026, 11, 2, 9, 30)
LATER = AT.replace(minute=40)
CAPTURE_CLASS, MULTI_FRAME_CAPTURE = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.2"
RAW_CLASS, CR_CLASS = "1.2.840.10008.5.1.4.1.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1"
ORIGINAL_TYPE, DERIVED_TYPE = ("ORIGINAL", "PRIMARY"), ("DERIVED", "PRIMARY")


@dataclass(frozen=True)
class Case:
    """`images` have the numbers 1, 2, ...; `read` are those with findings, `reasons` words of why others have none."""

    images: tuple[dict[str, Any], ...]
    read: str
    reasons: dict[str, str]
    damaged: str = ""


ORIGINAL: dict[str, Any] = {"image_type": ORIGINAL_TYPE, "acquired_at": AT}
SECOND: dict[str, Any] = {"image_type": ORIGINAL_TYPE, "acquired_at": LATER}
PROCESSED: dict[str, Any] = {"image_type": DERIVED_TYPE, "acquired_at": AT}
RAW: dict[str, Any] = {**ORIGINAL, "presentation_intent_type": "FOR PROCESSING"}
SHOWN: dict[str, Any] = {**PROCESSED, "presentation_intent_type": "FOR PRESENTATION"}
CAPTURE: dict[str, Any] = {"image_type": ("DERIVED", "SECONDARY"), "sop_class_uid": CAPTURE_CLASS}
BONE: dict[str, Any] = {"image_type": (*DERIVED_TYPE, "", "BONE"), "acquired_at": AT}
LATERAL: dict[str, Any] = {**SECOND, "view_position": "LL"}
AP: dict[str, Any] = {**SECOND, "view_position": "AP"}
DAMAGED, PARTIAL, DERIVED = "damaged", "secondary or partial", "it is derived"

CASES = {
    "one original": Case((ORIGINAL,), "1", {}),
    "two exposures": Case((ORIGINAL, SECOND), "12", {}),
    "PA and lateral": Case((LATERAL, ORIGINAL), "2", {"1": "view LL"}),
    "a capture with the lower UID": Case((CAPTURE, ORIGINAL), "2", {"1": PARTIAL}),
    "a capture that calls itself original": Case(
        ({**CAPTURE, "image_type": ORIGINAL_TYPE}, ORIGINAL), "2", {"1": PARTIAL}
    ),
    "a capture of one frame in the class of many": Case(
        ({**CAPTURE, "sop_class_uid": MULTI_FRAME_CAPTURE}, ORIGINAL), "2", {"1": PARTIAL}
    ),
    "a capture of several frames": Case(
        ({**CAPTURE, "sop_class_uid": MULTI_FRAME_CAPTURE, "number_of_frames": 3}, ORIGINAL), "2", {"1": "one frame"}
    ),
    "a secondary image in small letters": Case(
        ({"image_type": ("original", "secondary")}, ORIGINAL), "2", {"1": PARTIAL}
    ),
    "a bone image": Case((BONE, ORIGINAL), "2", {"1": PARTIAL}),
    "a soft tissue image of a CR": Case(
        ({**BONE, "image_type": (*DERIVED_TYPE, "SOFT TISSUE"), "sop_class_uid": CR_CLASS}, ORIGINAL),
        "2",
        {"1": PARTIAL},
    ),
    "a processed copy": Case((PROCESSED, ORIGINAL), "2", {"1": DERIVED}),
    "a processed copy that does not say when": Case(
        ({**PROCESSED, "acquired_at": None}, ORIGINAL), "2", {"1": DERIVED}
    ),
    "a processed image of another exposure": Case((PROCESSED, SECOND), "12", {}),
    "a processed image of another view": Case(({**PROCESSED, "view_position": "AP"}, ORIGINAL), "12", {}),
    "raw data and what the device shows of them": Case((RAW, SHOWN), "2", {"1": "made for presentation"}),
    "raw data by their class": Case(
        ({**ORIGINAL, "sop_class_uid": RAW_CLASS}, SHOWN), "2", {"1": "made for presentation"}
    ),
    "raw data of another exposure": Case(({**RAW, "acquired_at": LATER}, SHOWN), "12", {}),
    "raw data alone": Case((RAW,), "1", {}),
    "a capture alone": Case((CAPTURE,), "1", {}),
    "Image Type missing everywhere": Case(({}, {}), "12", {}),
    "a child's lateral and a frontal without an age": Case(
        ({**LATERAL, "patient_age_years": 4.0}, {**ORIGINAL, "patient_age_years": None}),
        "",
        {"1": "view LL", "2": "younger than 18"},
    ),
    "another part": Case(({**ORIGINAL, "body_part_examined": "HAND"}, SECOND), "2", {"1": "body part HAND"}),
    "another modality": Case(({**ORIGINAL, "modality": "CT"}, SECOND), "2", {"1": "modality CT"}),
    "colour": Case(({**SECOND, "photometric_interpretation": "RGB"}, ORIGINAL), "2", {"1": "RGB"}),
    "a small picture": Case(({**SECOND, "rows": 8}, ORIGINAL), "2", {"1": "smaller than"}),
    # the next one follows
    "a damaged original before a capture": Case((CAPTURE, ORIGINAL), "1", {"2": DAMAGED}, "2"),
    "a damaged original before its processed copy": Case((PROCESSED, ORIGINAL), "1", {"2": DAMAGED}, "2"),
    "a damaged original before a bone image": Case((ORIGINAL, BONE), "2", {"1": DAMAGED}, "1"),
    "what the device shows is damaged, raw data follow": Case((RAW, SHOWN), "1", {"2": DAMAGED}, "2"),
    "one exposure of two is damaged": Case((ORIGINAL, SECOND), "2", {"1": DAMAGED}, "1"),
    "one exposure of two is damaged, and a capture is there": Case(
        (ORIGINAL, SECOND, CAPTURE), "2", {"1": DAMAGED, "3": PARTIAL}, "1"
    ),
    "a damaged PA, and an AP": Case((ORIGINAL, AP), "2", {"1": DAMAGED}, "1"),
    "a damaged PA, and a lateral": Case((ORIGINAL, LATERAL), "", {"1": DAMAGED, "2": "view LL"}, "1"),
    "two captures, the first of them damaged": Case(
        (CAPTURE, CAPTURE, ORIGINAL), "2", {"1": DAMAGED, "3": DAMAGED}, "13"
    ),
    "all damaged": Case((CAPTURE, ORIGINAL), "", {"1": DAMAGED, "2": DAMAGED}, "12"),
    "no copy is read when the damaged one is a lateral": Case((LATERAL, CAPTURE), "2", {"1": "view LL"}, "1"),
    "copy and raw data of a damaged original": Case(
        (CAPTURE, {**RAW, "image_type": DERIVED_TYPE}, ORIGINAL), "2", {"1": PARTIAL, "3": DAMAGED}, "3"
    ),
}


def study_of(case: Case) -> tuple[Instance, ...]:
    return tuple(image(number, **changes) for number, changes in enumerate(case.images, start=1))


@pytest.mark.parametrize("name", CASES)
def test_which_images_of_a_study_are_read_and_why_the_others_are_not(name: str, package: Any) -> None:  # noqa: F811
    case = CASES[name]
    images = study_of(case)
    damaged = tuple(one for one in images if one.sop_instance_uid[-1] in case.damaged)
    report, _ = read(package, *images, damaged=damaged)
    found = listed(report)
    assert [number for number, _, _ in found] == [one.sop_instance_uid[-1] for one in images], "every image is listed"
    assert "".join(number for number, is_read, _ in found if is_read) == case.read
    said = {number: reason for number, is_read, reason in found if not is_read}
    assert said.keys() == case.reasons.keys()
    assert [number for number, words in case.reasons.items() if words not in said[number]] == []
