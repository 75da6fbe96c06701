"""Who the patient is, byte by byte: every result says it in the bytes and in the character set of the source.

The bytes are those of the examples of PS3.5 (annexes H, I, J and K) and of the code tables themselves, by hand.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from core.domain.report import ObjectKind
from dicom_node.encode import encode
from dicom_node.encode.writing import to_part10
from dicom_node.header.read import read_header, to_patient
from tests.contract.encode.cases import CT, IMAGE_UID, dx_source, image, report

CASE = Path(__file__).parents[4] / "shared" / "data" / "cases" / "name_in_iso_2022_ir_58" / "zhang.dcm"

NAMES = {
    # declared, PatientName: PS3.5 H.3 (Japanese), I.2 (Korean), J.1, J.2, J.3 and K.2 (Chinese)
    "japanese, H.3.1": (
        b"\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
    ),
    "japanese, H.3.2": (
        b"ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
    ),
    "japanese, supplementary": (b"\\ISO 2022 IR 87\\ISO 2022 IR 159", b"A^B=\x1b$(D0!\x1b(B^\x1b$B;3\x1b(B"),
    "katakana alone": (b"ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3"),
    "korean, I.2": (
        b"\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
    ),
    "chinese, K.2": (b"\\ISO 2022 IR 58", b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="),
    "chinese, J.1": (b"ISO_IR 192", b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1="),
    "chinese, J.3": (b"GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab="),
    "four bytes of GB18030": (b"GB18030", b"Wang^X=\x81\x39\xef\x30^\xd0\xa1"),
    "a backslash within a character": (b"GBK", b"Wang^X=\x81\x5c^\xd0\xa1\xb6\xab="),
    "latin 1": (b"ISO_IR 100", b"Buc^J\xe9r\xf4me"),
    "latin 2": (b"ISO_IR 101", b"W\xb1ow\xf1ski^Le\xb6"),
    "latin 3": (b"ISO_IR 109", b"\xacoan^\xb6anu"),
    "latin 4": (b"ISO_IR 110", b"B\xeanbe^\xd0"),
    "cyrillic": (b"ISO_IR 144", b"\xbb\xee\xdace\xdc\xd1yp\xd3"),
    "arabic": (b"ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1"),
    "greek": (b"ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2"),
    "hebrew": (b"ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4"),
    "latin 5": (b"ISO_IR 148", b"\xc7avu\xfeo\xf0lu"),
    "thai": (b"ISO_IR 166", b"\xb9\xd2\xc1^\xca\xa1\xd8\xc5"),
    "latin 9": (b"ISO_IR 203", b"\xbduvre^\xa4"),
    "latin 1 with extensions": (b"ISO 2022 IR 100\\ISO 2022 IR 144", b"Dionysios is \x1b-F\xc4^\x1b-L\xbb\xee"),
    "escape sequences that nothing declares": (b"ISO_IR 100", b"Yamada^\x1b$B;3ED\x1b(B"),
    "no set declared": (b"", b"M\xfcller^J\xfcrgen"),
    "a set that does not exist": (b"ISO_IR 9999", b"M\xfcller^J\xfcrgen"),
    "a set in other words": (b"latin1", b"M\xfcller^J\xfcrgen"),
    "bytes that the set does not have": (b"ISO_IR 192", b"M\xfcller^\xff\xfe"),
    "an empty first value too many": (b"\\\\ISO 2022 IR 87", b"Yamada=\x1b$B;3ED\x1b(B"),
    "half a character": (b"GB18030", b"Wang^\xcd"),
    "padding in front": (b"ISO_IR 100", b"  B\xe9^A  "),
}


def raw_source(character_set: bytes, texts: dict[str, bytes], **changes: object) -> bytes:
    """A DX whose character set and texts are these bytes."""
    source = pydicom.dcmread(BytesIO(dx_source(SpecificCharacterSet=None, **changes)))
    for keyword, value in {"SpecificCharacterSet": character_set, **texts}.items():
        if value:
            padded = value + b" " * (len(value) % 2)
            vr = pydicom.datadict.dictionary_VR(keyword)
            source[keyword] = RawDataElement(Tag(keyword), vr, len(padded), padded, 0, False, True)
    return _written(source)


def _written(source: Dataset) -> bytes:
    """The file, with the raw elements as they are: the set is put in front of what pydicom writes."""
    declared = source.get_item("SpecificCharacterSet")
    return to_part10(source, declared.value if declared is not None else b"")


def bytes_of(part10: bytes, keyword: str) -> bytes:
    """The value of an element as it is in a file, by a walk over the file."""
    tag = Tag(keyword)
    wanted = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")
    at = part10.find(wanted + pydicom.datadict.dictionary_VR(keyword).encode(), 132)
    if at < 0:
        return b""
    length = int.from_bytes(part10[at + 6 : at + 8], "little")
    return part10[at + 8 : at + 8 + length]


def results(source: bytes, **changes: object) -> list[bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            made.data for made in encode(report(**changes), {IMAGE_UID: source}, {IMAGE_UID: image()}, list(ObjectKind))
        ]


@pytest.mark.parametrize("name", NAMES)
def test_every_result_has_the_bytes_of_the_name_and_its_character_set(name: str) -> None:
    character_set, value = NAMES[name]
    texts = {"PatientName": value, "PatientID": value[:60], "ReferringPhysicianName": value, "IssuerOfPatientID": value}
    source = raw_source(character_set, texts)
    made = results(source)
    assert len(made) >= 4
    for result in made:
        for keyword in ("PatientName", "PatientID", "IssuerOfPatientID"):
            assert bytes_of(result, keyword) == bytes_of(source, keyword), keyword
        assert bytes_of(result, "SpecificCharacterSet") == bytes_of(source, "SpecificCharacterSet")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_the_transfer_syntax_of_the_source_changes_nothing(syntax: str) -> None:
    name = "Hong^Gildong=洪^吉洞=홍^길동"
    source = pydicom.dcmread(BytesIO(dx_source(SpecificCharacterSet=["", "ISO 2022 IR 149"], PatientName=name)))
    expected = bytes_of(dx_source(SpecificCharacterSet=["", "ISO 2022 IR 149"], PatientName=name), "PatientName")
    buffer = BytesIO()
    source.file_meta.TransferSyntaxUID = syntax
    pydicom.dcmwrite(
        buffer,
        source,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=syntax != ExplicitVRBigEndian,
        force_encoding=True,
    )
    assert {bytes_of(result, "PatientName") for result in results(buffer.getvalue())} == {expected}


def test_a_ct_has_its_patient_in_the_parametric_map_too() -> None:
    character_set, value = NAMES["korean, I.2"]
    source = raw_source(character_set, {"PatientName": value}, **CT)
    assert {bytes_of(result, "PatientName") for result in results(source)} == {bytes_of(source, "PatientName")}


def test_words_of_ours_that_need_utf_8_take_the_name_with_them() -> None:
    source = raw_source(b"ISO_IR 100", {"PatientName": b"M\xfcller^J\xfcrgen"})
    for result in results(source, limitations=("体位は不明",)):
        assert bytes_of(result, "SpecificCharacterSet") == b"ISO_IR 192"
        assert bytes_of(result, "PatientName").rstrip() == "Müller^Jürgen".encode()


IN_UTF_8 = {
    # the readings of the names above as the standard prints them, else by the code tables
    "japanese, H.3.1": "Yamada^Tarou=山田^太郎=やまだ^たろう",
    "japanese, H.3.2": "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    "japanese, supplementary": "A^B=丂^山",
    "katakana alone": "ﾔﾏﾀﾞ^ﾀﾛｳ",
    "korean, I.2": "Hong^Gildong=洪^吉洞=홍^길동",
    "chinese, K.2": "Zhang^XiaoDong=张^小东=",
    "chinese, J.1": "Wang^XiaoDong=王^小東=",
    "chinese, J.3": "Wang^XiaoDong=王^小东=",
    "four bytes of GB18030": "Wang^X=㐁^小",
    "a backslash within a character": "Wang^X=乗^小东=",
    "latin 1": "Buc^Jérôme",
    "latin 2": "Wąowński^Leś",
    "latin 3": "Ĵoan^ĥanu",
    "latin 4": "Bęnbe^Đ",
    "cyrillic": "Люкceм\u0431yp\u0433",
    "arabic": "قباني^لنزار",
    "greek": "Διονυσιος",
    "hebrew": "שרון^דבורה",
    "latin 5": "Çavuşoğlu",
    "thai": "นาม^สกุล",
    "latin 9": "œuvre^€",
    "no set declared": "Müller^Jürgen",
    "UTF-8 without a word of it": "Müller^张",
    "UTF-8 declared as ASCII": "Müller^张",
    "an empty first value too many": "Yamada=山田",
}
UNDECLARED = {
    "UTF-8 without a word of it": (b"", "Müller^张".encode()),
    "UTF-8 declared as ASCII": (b"ISO_IR 6", "Müller^张".encode()),
}


@pytest.mark.parametrize("name", IN_UTF_8)
def test_a_name_of_any_character_set_is_the_same_name_in_utf_8(name: str) -> None:
    character_set, value = {**NAMES, **UNDECLARED}[name]
    source = raw_source(character_set, {"PatientName": value})
    of = report(limitations=("体位は不明",))
    (sr,) = encode(of, {IMAGE_UID: source}, {}, [ObjectKind.SR])
    assert bytes_of(sr.data, "SpecificCharacterSet") == b"ISO_IR 192"
    assert bytes_of(sr.data, "PatientName").decode().rstrip() == IN_UTF_8[name]
    assert to_patient(read_header(source)).patient_name == IN_UTF_8[name]


@pytest.mark.parametrize(
    "name",
    [
        "latin 1 with extensions",
        "escape sequences that nothing declares",
        "bytes that the set does not have",
        "half a character",
    ],
)
def test_a_name_that_nothing_decodes_stays_as_it_was_sent(name: str) -> None:
    character_set, value = NAMES[name]
    source = raw_source(character_set, {"PatientName": value})
    (sr,) = encode(report(limitations=("体位は不明",)), {IMAGE_UID: source}, {}, [ObjectKind.SR])
    for keyword in ("PatientName", "SpecificCharacterSet"):
        assert bytes_of(sr.data, keyword) == bytes_of(source, keyword)


def test_a_name_that_cannot_be_decoded_stays_whatever_our_words_need() -> None:
    character_set, value = NAMES["bytes that the set does not have"]
    source = raw_source(character_set, {"PatientName": value})
    for result in results(source, limitations=("体位は不明",)):
        assert bytes_of(result, "PatientName") == bytes_of(source, "PatientName")


@pytest.mark.skipif(not CASE.exists(), reason="../shared/data/cases is not here")
def test_the_reported_name_in_iso_2022_ir_58() -> None:
    source = CASE.read_bytes()
    header = pydicom.dcmread(CASE, stop_before_pixels=True)
    of = report()
    made = encode(of, {IMAGE_UID: source}, {}, [ObjectKind.SR])
    assert bytes_of(made[0].data, "PatientName") == bytes_of(source, "PatientName")
    assert bytes_of(made[0].data, "SpecificCharacterSet") == bytes_of(source, "SpecificCharacterSet")
    assert pydicom.dcmread(BytesIO(made[0].data)).PatientName == header.PatientName
