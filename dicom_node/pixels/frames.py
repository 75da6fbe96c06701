"""One frame's stored values, out of a Part 10 file, native or compressed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from core.errors import InvalidStudy
from dicom_node.header.checks import check_header
from dicom_node.header.elements import PIXEL_DATA, UNDEFINED, Element, Encoding, top_level_elements
from dicom_node.header.part10 import layout_of
from dicom_node.header.read import read_header
from dicom_node.header.values import Values
from dicom_node.pixels import codecs
from dicom_node.pixels.codestream import Codestream, describe
from dicom_node.pixels.damage import refuse_damaged_blocks, refuse_damaged_samples
from dicom_node.pixels.fragments import TRUNCATED, frame_of

UNDECODABLE = "the pixel data cannot be decoded"
_INTEGER_PIXEL_DATA = 0x7FE00010
_END_OF_IMAGE = b"\xff\xd9"  # EOI of JPEG and JPEG-LS, EOC of JPEG 2000
_END_MARGIN_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """`stored`: integer array (rows, columns) or (rows, columns, 3), the values of PS3.3 C.7.6.3.1.1.

    `words`: the same with the bits that are no picture, which may hold an old overlay; None where there are none.
    """

    stored: NDArray[Any] = field(repr=False)
    photometric_interpretation: str
    bits_stored: int
    is_signed: bool
    words: NDArray[Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Description:
    """The image pixel module (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    number_of_frames: int
    samples_per_pixel: int
    photometric_interpretation: str
    planar_configuration: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int


def read_frame(part10: bytes, index: int) -> Frame:
    """Decode frame `index`; raises InvalidStudy with a reason fit for a report when that cannot be done."""
    header = read_header(part10)
    check_header(header)
    values = Values(header)
    description = _describe(values)
    if not 0 <= index < description.number_of_frames:
        raise InvalidStudy("the image has fewer frames than asked for")
    layout = layout_of(part10)
    syntax = UID(layout.transfer_syntax_uid)
    element = _pixel_element(part10, Encoding.of(syntax), layout.data_set_start)
    options = _options(description)
    if element.vr:
        options["pixel_vr"] = element.vr.decode("ascii")
    codestream: Codestream | None = None
    if syntax.is_encapsulated:
        source = frame_of(part10, element, index, description.number_of_frames, syntax)
        codestream = None if syntax == uid.RLELossless else _check_codestream(source, description)
    else:
        source = _native(part10, element, description)
    stored, photometric = _decoded(syntax, source, index, options)
    if codestream is not None:
        refuse_damaged_samples(source, stored)
    return Frame(
        stored=_used_bits(stored, description, codestream),
        photometric_interpretation=photometric,
        bits_stored=description.bits_stored,
        is_signed=description.pixel_representation == 1,
        words=stored if description.bits_stored < description.bits_allocated else None,
    )


def _describe(values: Values) -> _Description:
    rows, columns, allocated = (values.integer(k) for k in ("Rows", "Columns", "BitsAllocated"))
    photometric = values.text("PhotometricInterpretation")
    if not (rows and columns and allocated and photometric):
        raise InvalidStudy("Rows, Columns, BitsAllocated or PhotometricInterpretation is missing: this is not an image")
    stored = values.integer("BitsStored") or allocated
    high_bit = values.integer("HighBit")
    return _Description(
        rows=rows,
        columns=columns,
        number_of_frames=values.integer("NumberOfFrames") or 1,
        samples_per_pixel=values.integer("SamplesPerPixel") or 1,
        photometric_interpretation=photometric,
        planar_configuration=values.integer("PlanarConfiguration") or 0,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=stored - 1 if high_bit is None else high_bit,
        pixel_representation=values.integer("PixelRepresentation") or 0,
    )


def _options(description: _Description) -> dict[str, Any]:
    options: dict[str, Any] = {
        "rows": description.rows,
        "columns": description.columns,
        "number_of_frames": description.number_of_frames,
        "samples_per_pixel": description.samples_per_pixel,
        "photometric_interpretation": description.photometric_interpretation,
        "bits_allocated": description.bits_allocated,
        "bits_stored": description.bits_stored,
        "pixel_representation": description.pixel_representation,
        "pixel_keyword": "PixelData",
        "correct_unused_bits": False,  # pydicom does not know HighBit; `_used_bits` does
    }
    if description.samples_per_pixel > 1:
        options["planar_configuration"] = description.planar_configuration
    return options


def _pixel_element(part10: bytes, encoding: Encoding, start: int) -> Element:
    for element in top_level_elements(part10, encoding, start=start):
        if element.tag == _INTEGER_PIXEL_DATA:
            return element
        if element.tag in PIXEL_DATA:
            raise InvalidStudy("the image has floating point pixels, which no model here takes")
    raise InvalidStudy("the object holds no pixel data")


def _native(part10: bytes, element: Element, description: _Description) -> bytes:
    available = min(element.length, len(part10) - element.start)
    per_frame = description.rows * description.columns * description.samples_per_pixel * description.bits_allocated
    if description.photometric_interpretation == "YBR_FULL_422":
        per_frame = per_frame * 2 // 3
    if available < element.length != UNDEFINED or available * 8 < per_frame * description.number_of_frames:
        raise InvalidStudy(TRUNCATED)
    return part10[element.start : element.start + element.length]


def _decoded(syntax: UID, source: bytes, index: int, options: dict[str, Any]) -> tuple[NDArray[Any], str]:
    """Decode with our codecs, else with what pydicom has; nothing that a library says reaches the report.

    `source`: native pixel data, or the one compressed frame. Never with gdcm: a frame of another size than announced
    makes it abort the whole process.
    """
    decoder = get_decoder(syntax)
    codecs.register()
    if syntax.is_encapsulated:
        source, index, options = encapsulate([source], has_bot=False), 0, options | {"number_of_frames": 1}
    others = [name for name in decoder.available_plugins if name not in (codecs.PLUGIN, "gdcm")]
    for plugin in [codecs.PLUGIN, *others] if syntax.is_encapsulated else [""]:
        try:
            stored, properties = decoder.as_array(source, index=index, raw=True, decoding_plugin=plugin, **options)
        except Exception:  # noqa: BLE001, S112 boundary: hostile bytes may break a codec in any way
            continue
        return stored, str(properties["photometric_interpretation"])
    raise InvalidStudy(UNDECODABLE)


def _check_codestream(frame: bytes, description: _Description) -> Codestream | None:
    """What a compressed frame says of itself; raises InvalidStudy when it is not whole or not what the header says.

    A JPEG cut short decodes to a grey rest without complaint: its end marker must be there, and its code end there.
    """
    codestream = describe(frame)
    if codestream is None:
        raise InvalidStudy(f"{UNDECODABLE}: they are not compressed as the transfer syntax says")
    if (codestream.rows, codestream.columns) != (description.rows, description.columns):
        raise InvalidStudy(f"{UNDECODABLE}: the compressed image has another size than Rows and Columns say")
    if codestream.components != description.samples_per_pixel:
        raise InvalidStudy(
            f"{UNDECODABLE}: the compressed image has another number of samples than SamplesPerPixel says"
        )
    if _END_OF_IMAGE not in frame.rstrip(b"\0\xff")[-_END_MARGIN_BYTES:]:
        raise InvalidStudy(TRUNCATED)
    refuse_damaged_blocks(frame)
    return codestream


def _used_bits(stored: NDArray[Any], description: _Description, codestream: Codestream | None) -> NDArray[Any]:
    """Shift out what is above HighBit (old overlays) and below the stored bits (PS3.5 8.1.1).

    A codestream that is wide enough for HighBit holds whole words, as native pixels are; a narrower one holds the
    stored bits alone, right-aligned. Lossy ones may overshoot the stored bits: cut off, where masking would turn the
    brightest pixels black.
    """
    width, bits = 8 * stored.dtype.itemsize, description.bits_stored
    if description.bits_allocated == 1:
        return stored
    precision = width if codestream is None else min(codestream.precision, width)
    bits = min(bits, precision if description.pixel_representation == 1 else width)
    high_bit = description.high_bit if precision > description.high_bit >= bits - 1 else bits - 1
    if codestream is not None and not codestream.is_lossless:
        return _cut_to_bits(stored << (width - precision) >> (width - precision + high_bit + 1 - bits), bits)
    used: NDArray[Any] = stored << (width - 1 - high_bit) >> (width - bits)
    return used


def _cut_to_bits(stored: NDArray[Any], bits: int) -> NDArray[Any]:
    """Values outside the stored bits as the nearest one inside."""
    is_signed = stored.dtype.kind == "i"
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed else (0, 2**bits - 1)
    return stored.clip(low, high)
