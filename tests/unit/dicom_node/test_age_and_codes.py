"""Ages in any unambiguous writing, and body part and view by their codes."""

from __future__ import annotations

import pytest
from pydicom.dataset import Dataset

from core.domain.study import Instance
from dicom_node.header.read import read_header, to_instance
from tests.contract.dicom_peers import dx_dataset, explicit, part10


def instance(age: bytes | None = None, **changes: object) -> Instance:
    ds = dx_dataset(**{"PatientAge": None, **changes})
    data = part10(ds)
    if age is not None:
        at = data.index(b"\x18\0\x15\0")
        data = data[:at] + explicit(0x0010, 0x1010, b"AS", age + b" " * (len(age) % 2)) + data[at:]
    return to_instance(read_header(data))


@pytest.mark.parametrize(
    ("written", "years"),
    [
        ("007Y", 7),
        ("7Y", 7),
        ("07Y", 7),
        ("0007Y", 7),
        ("7y", 7),
        ("7 Y", 7),
        ("84M", 7),
        ("018M", 1.5),
        ("18m", 1.5),
        ("3W", 3 * 7 / 365.25),
        ("10D", 10 / 365.25),
        ("365D", 365 / 365.25),
        ("1461d", 4),
        ("7 YEARS", 7),
        ("7yr", 7),
        ("7 years old", 7),
        ("18 months", 1.5),
        ("1Y6M", 1.5),
        ("1Y 6M", 1.5),
        ("P7Y", 7),
        ("7.5Y", 7.5),
        ("045Y", 45),
        ("45 YRS", 45),
    ],
)
def test_an_age_that_can_only_be_meant_so(written: str, years: float) -> None:
    found = instance(written.encode(), PatientBirthDate="")
    assert found.patient_age_years == pytest.approx(years)
    assert not found.is_age_unreadable


@pytest.mark.parametrize("written", ["7", "abc", "Y7", "-5Y", "200Y", "7X", "7-8Y", "12345D", "0x7Y"])
def test_an_age_that_cannot_be_read_is_stated_all_the_same(written: str) -> None:
    found = instance(written.encode(), PatientBirthDate="")
    assert (found.patient_age_years, found.is_age_unreadable) == (None, True)
    assert "PatientAge is not a valid AS" in found.header_flags


@pytest.mark.parametrize(
    ("birth", "study", "years", "unreadable"),
    [
        ("20130101", "20200101", 7, False),
        ("2013.01.01", "20200101", 7, False),
        ("2013", "20200101", 6, False),  # at least
        ("201300", "20200101", 6, False),
        ("20130000", "20200101", 6, False),
        ("2013-01-01", "20200101", 6, False),
        ("99999999", "20200101", None, True),
        ("01.02.13", "20200101", None, True),
        ("20300101", "20200101", None, True),
        ("00000000", "20200101", None, False),
        ("", "20200101", None, False),
        ("19500101", "", None, False),
    ],
)
def test_the_birth_date_gives_the_age_where_none_is_stated(
    birth: str, study: str, years: float | None, unreadable: bool
) -> None:
    data = part10(dx_dataset(PatientAge=None, StudyDate=study, PatientBirthDate="19500101"))
    old = explicit(0x0010, 0x0030, b"DA", b"19500101")
    raw = birth.encode() + b" " * (len(birth) % 2)
    found = to_instance(read_header(data.replace(old, explicit(0x0010, 0x0030, b"DA", raw))))
    assert (found.patient_age_years, found.is_age_unreadable) == (years, unreadable)


@pytest.mark.parametrize(("age", "counts"), [("040Y", 7), ("003Y", 3), ("007Y", 7), ("008Y", 8), ("006Y", 6)])
def test_of_an_age_and_a_birth_date_that_disagree_the_lower_counts_and_it_is_said(age: str, counts: float) -> None:
    found = instance(age.encode(), PatientBirthDate="20130101", StudyDate="20200101")
    assert found.patient_age_years == counts
    assert any("disagree" in flag for flag in found.header_flags) == (age in {"040Y", "003Y"})


def code(value: str, scheme: str = "SCT", meaning: str = "x", keyword: str = "CodeValue") -> list[Dataset]:
    item = Dataset()
    setattr(item, keyword, value)
    item.CodingSchemeDesignator, item.CodeMeaning = scheme, meaning
    return [item]


@pytest.mark.parametrize(
    ("value", "scheme", "part"),
    [
        ("51185008", "SCT", "CHEST"),
        ("816094009", "SCT", "CHEST"),
        ("T-D3000", "SRT", "CHEST"),
        ("T-D3000", "SNM3", "CHEST"),
        ("39607008", "SCT", "LUNG"),
        ("T-28000", "SRT", "LUNG"),
        ("85562004", "SCT", "HAND"),
        ("T-D8700", "SRT", "HAND"),
        ("122495006", "SCT", "TSPINE"),
        ("421060004", "SCT", "SPINE"),
        ("122494005", "SCT", "CSPINE"),
        ("122496007", "SCT", "LSPINE"),
        ("69536005", "SCT", "HEAD"),
        ("12921003", "SCT", "PELVIS"),
        ("818981001", "SCT", "ABDOMEN"),
        ("113345001", "SCT", "ABDOMEN"),
        ("416550000", "SCT", "CHESTABDOMEN"),
        ("72696002", "SCT", "KNEE"),
        ("56459004", "SCT", "FOOT"),
        ("29836001", "SCT", "HIP"),
        ("113197003", "SCT", "RIB"),
        ("16982005", "SCT", "SHOULDER"),
        ("76752008", "SCT", "BREAST"),
        ("80891009", "SCT", "HEART"),
        ("706342009", "SCT", "OTHER"),
        ("999", "99SITE", ""),
        ("12345678901", "SCT", ""),
    ],
)
def test_the_body_part_by_its_code(value: str, scheme: str, part: str) -> None:
    """PS3.16 annex L, written by hand; without a word the code is the body part."""
    found = instance(AnatomicRegionSequence=code(value, scheme))
    assert (found.anatomic_region, found.body_part_examined) == (part, "CHEST")
    assert instance(AnatomicRegionSequence=code(value, scheme), BodyPartExamined="").body_part_examined == part


@pytest.mark.parametrize(
    ("value", "scheme", "view"),
    [
        ("272479007", "SCT", "PA"),
        ("399348003", "SCT", "AP"),
        ("399173006", "SCT", "LL"),
        ("399198007", "SCT", "RL"),
        ("399067008", "SCT", "LATERAL"),
        ("R-10206", "SRT", "AP"),
        ("R-10214", "SRT", "PA"),
        ("R-10236", "SNM3", "LL"),
        ("R-10232", "SRT", "RL"),
        ("399033003", "SCT", "FRONTAL"),
        ("399135007", "SCT", "LAO"),
        ("399356000", "SCT", "RAO"),
        ("399006002", "SCT", "LPO"),
        ("399038007", "SCT", "RPO"),
        ("399182000", "SCT", "OBLIQUE"),
        ("399061009", "SCT", "AXIAL"),
        ("399162004", "SCT", "OTHER"),
        ("1", "99SITE", ""),
    ],
)
def test_the_view_by_its_code(value: str, scheme: str, view: str) -> None:
    """PS3.16 CID 4010, written by hand."""
    assert instance(ViewCodeSequence=code(value, scheme)).view_code == view


def test_a_long_code_value_and_an_empty_sequence_are_no_harm() -> None:
    assert instance(ViewCodeSequence=code("399173006", keyword="LongCodeValue")).view_code == "LL"
    assert instance(ViewCodeSequence=[], AnatomicRegionSequence=[]).view_code == ""
    assert instance(ViewCodeSequence=[Dataset()]).view_code == ""
