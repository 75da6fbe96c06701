"""Whether the entropy-coded data of a JPEG end where its picture ends.

libjpeg decodes a damaged JPEG to a picture with a false part and only counts a warning, which no library that is used
here passes on. A damaged stream loses its place in the code: it is used up before the last block, or some of it is left
over. So the bits that the picture needs are counted, and must be those that are there.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import InvalidStudy
from dicom_node.pixels.codestream import DHT, DRI, SOS, is_frame_header, segments

DAMAGED = "the compressed image is damaged"
_SEQUENTIAL, _LOSSLESS = (0xC0, 0xC1), 0xC3  # SOF0, SOF1, SOF3: Huffman coded, not progressive
_RESTART = re.compile(rb"\xff+[\xd0-\xd7]")
_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
_PEEK = 16  # bits: the longest Huffman code
_BLOCK = 64
_END_OF_BLOCK = 2 * _BLOCK

Lengths = list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Component:
    """A component in the scan; `table`: of DC coefficients, or of differences where the JPEG is lossless."""

    horizontal: int
    vertical: int
    table: int
    ac_table: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    """A JPEG of one scan. `tables`: by class and number, the code lengths and values of a DHT (T.81 B.2.4.2)."""

    marker: int
    precision: int
    rows: int
    columns: int
    components: tuple[_Component, ...]
    tables: dict[tuple[int, int], tuple[bytes, bytes]]
    restart_interval: int
    selection: int
    point_transform: int
    intervals: tuple[bytes, ...]


def refuse_damaged_blocks(frame: bytes) -> None:
    """Raise InvalidStudy when a sequential DCT JPEG is damaged; of other codestreams nothing is known here."""
    scan = _read(frame)
    if scan is None or scan.marker not in _SEQUENTIAL:
        return
    blocks, total = _blocks_of_a_unit(scan)
    per_interval = scan.restart_interval or total
    if len(scan.intervals) != -(-total // per_interval):
        raise InvalidStudy(DAMAGED)
    for number, data in enumerate(scan.intervals):
        units = min(per_interval, total - number * per_interval)
        _check_interval(data, blocks, units)


def refuse_damaged_samples(frame: bytes, samples: NDArray[np.integer]) -> None:
    """Raise InvalidStudy when a lossless JPEG is damaged; `samples`: what it was decoded to, (rows, columns)."""
    scan = _read(frame)
    if scan is None or scan.marker != _LOSSLESS or len(scan.components) != 1 or samples.ndim != 2:
        return
    bits = _bits_needed(scan, samples)
    rows = max(1, scan.restart_interval // scan.columns) if scan.restart_interval else scan.rows
    needed = [int(bits[start : start + rows].sum()) for start in range(0, scan.rows, rows)]
    available = [8 * len(data) for data in scan.intervals]
    if len(needed) != len(available) or any(not 0 <= a - n < 8 for a, n in zip(available, needed, strict=True)):
        raise InvalidStudy(DAMAGED)


def _read(frame: bytes) -> _Scan | None:
    """The one scan of a JPEG; None when it is no JPEG, or has several scans."""
    if not frame.startswith(b"\xff\xd8"):
        return None
    tables: dict[tuple[int, int], tuple[bytes, bytes]] = {}
    header = b""
    marker = interval = 0
    try:
        for kind, parameters, after in segments(frame):
            if kind == DHT:
                tables |= _tables(parameters)
            elif kind == DRI:
                (interval,) = struct.unpack_from(">H", parameters)
            elif is_frame_header(kind):
                marker, header = kind, parameters
            elif kind == SOS and header and parameters[0] == header[5]:
                return _scan(frame[after:], marker, header, parameters, tables, interval)
    except (struct.error, IndexError, KeyError):
        raise InvalidStudy(DAMAGED) from None
    return None


def _scan(
    data: bytes,
    marker: int,
    header: bytes,
    parameters: bytes,
    tables: dict[tuple[int, int], tuple[bytes, bytes]],
    interval: int,
) -> _Scan:
    precision, rows, columns, count = struct.unpack_from(">BHHB", header)
    sampling = {header[6 + 3 * n]: header[7 + 3 * n] for n in range(count)}
    chosen = [(parameters[1 + 2 * n], parameters[2 + 2 * n]) for n in range(count)]
    end = _MARKER.search(data)
    coded = data[: end.start() if end else len(data)]
    return _Scan(
        marker=marker,
        precision=precision,
        rows=rows,
        columns=columns,
        components=tuple(
            _Component(
                horizontal=sampling[name] >> 4, vertical=sampling[name] & 15, table=pair >> 4, ac_table=pair & 15
            )
            for name, pair in chosen
        ),
        tables=tables,
        restart_interval=interval,
        selection=parameters[1 + 2 * count],
        point_transform=parameters[3 + 2 * count] & 15,
        intervals=tuple(part.replace(b"\xff\x00", b"\xff") for part in _RESTART.split(coded)),
    )


def _tables(parameters: bytes) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    found: dict[tuple[int, int], tuple[bytes, bytes]] = {}
    at = 0
    while at < len(parameters):
        kind, counts = parameters[at], parameters[at + 1 : at + 17]
        values = parameters[at + 17 : at + 17 + sum(counts)]
        found[kind >> 4, kind & 15] = (counts, values)
        at += 17 + sum(counts)
    return found


def _codes(table: tuple[bytes, bytes]) -> list[tuple[int, int, int]]:
    """First 16-bit word, length and value of each code, in rising order (T.81 C.2)."""
    counts, values = table
    codes, code, at = [], 0, 0
    for length, count in enumerate(counts, start=1):
        for value in values[at : at + count]:
            codes.append((code << (_PEEK - length), length, value))
            code += 1
        at += count
        code <<= 1
    return codes


def _blocks_of_a_unit(scan: _Scan) -> tuple[list[tuple[Lengths, Lengths]], int]:
    """The tables of each block of a minimum coded unit, and how many units the picture has (T.81 A.2)."""
    tables = [(_dc_steps(scan.tables[0, c.table]), _ac_steps(scan.tables[1, c.ac_table])) for c in scan.components]
    if len(scan.components) == 1:
        return tables, -(-scan.rows // 8) * -(-scan.columns // 8)
    high, wide = max(c.vertical for c in scan.components), max(c.horizontal for c in scan.components)
    blocks = [pair for c, pair in zip(scan.components, tables, strict=True) for _ in range(c.horizontal * c.vertical)]
    return blocks, -(-scan.rows // (8 * high)) * -(-scan.columns // (8 * wide))


def _dc_steps(table: tuple[bytes, bytes]) -> Lengths:
    """By the next 16 bits, how many bits a DC coefficient takes; 0 where no code begins so."""
    steps = [0] * 2**_PEEK
    for first, length, size in _codes(table):
        steps[first : first + 2 ** (_PEEK - length)] = [length + size] * 2 ** (_PEEK - length)
    return steps


def _ac_steps(table: tuple[bytes, bytes]) -> Lengths:
    """The same of AC coefficients, with 64 times the number of coefficients that the code stands for."""
    steps = [0] * 2**_PEEK
    for first, length, value in _codes(table):
        run, size = value >> 4, value & 15
        coefficients = run + 1 if size or run == 15 else _END_OF_BLOCK
        step = length + size + _BLOCK * coefficients
        steps[first : first + 2 ** (_PEEK - length)] = [step] * 2 ** (_PEEK - length)
    return steps


def _check_interval(data: bytes, blocks: list[tuple[Lengths, Lengths]], units: int) -> None:
    """Walk the codes of one restart interval: it must end with the last block, but for less than a byte of padding."""
    bytes_ = np.frombuffer(data + b"\xff" * 4, np.uint8).astype(np.uint32)
    words: list[int] = (bytes_[:-2] << 16 | bytes_[1:-1] << 8 | bytes_[2:]).tolist()  # 24 bits from each byte on
    end, at = 8 * len(data), 0
    for _ in range(units):
        for dc, ac in blocks:
            if at >= end:
                raise InvalidStudy(DAMAGED)
            at = _after_block(words, at, dc, ac)
    if not 0 <= end - at < 8:
        raise InvalidStudy(DAMAGED)


def _after_block(words: list[int], at: int, dc: Lengths, ac: Lengths) -> int:
    """Where the next block begins; `at`: where this one does, in bits."""
    try:
        step = dc[words[at >> 3] >> (8 - (at & 7)) & 0xFFFF]
        at += step
        coefficients = 1
        while step and coefficients < _BLOCK:
            step = ac[words[at >> 3] >> (8 - (at & 7)) & 0xFFFF]
            at += step & 63
            coefficients += step >> 6
    except IndexError:
        raise InvalidStudy(DAMAGED) from None
    if not step or _BLOCK < coefficients < _END_OF_BLOCK:
        raise InvalidStudy(DAMAGED)
    return at


def _bits_needed(scan: _Scan, samples: NDArray[np.integer]) -> NDArray[np.int64]:
    """How many bits each sample of a lossless JPEG takes in its own code (T.81 H.1.2)."""
    x = (samples.astype(np.int64) & 0xFFFF) >> scan.point_transform
    differences = (x - _predicted(scan, x)) & 0xFFFF
    differences = np.where(differences > 0x8000, differences - 0x10000, differences)
    sizes = np.ceil(np.log2(np.abs(differences) + 1.0)).astype(np.int64)
    by_size = np.full(32, 1 << 20, np.int64)  # a size without a code makes the sum impossible
    for _, length, size in _codes(scan.tables[0, scan.components[0].table]):
        by_size[size & 31] = length + (size if size < _PEEK else 0)
    needed: NDArray[np.int64] = by_size[sizes]
    return needed


def _predicted(scan: _Scan, x: NDArray[np.int64]) -> NDArray[np.int64]:
    """The prediction of each sample from its neighbours (T.81 H.1.2.1, table H.1)."""
    left, above, corner = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    left[:, 1:], above[1:], corner[1:, 1:] = x[:, :-1], x[:-1], x[:-1, :-1]
    formulas = (
        left,
        above,
        corner,
        left + above - corner,
        left + ((above - corner) >> 1),
        above + ((left - corner) >> 1),
        (left + above) >> 1,
    )
    predicted = formulas[scan.selection - 1].copy()
    predicted[:, 0] = above[:, 0]
    rows = scan.restart_interval // scan.columns if scan.restart_interval else 0
    for first in range(0, scan.rows, rows) if rows else (0,):
        predicted[first] = left[first]
        predicted[first, 0] = 1 << (scan.precision - scan.point_transform - 1)
    return predicted
