"""Look-up tables of PS3.3 C.11.1.1 and C.11.2.1.1, also those whose descriptor and contents disagree.

The contents count: a table is as long as its data, and as wide as its largest output where the descriptor cannot be
meant. A table that would turn the picture into one grey is not used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

Floats = NDArray[np.float64]
_SIGN, _ALL = 0x8000, 0x10000  # of 16-bit words
_FEWEST_BITS, _MOST_BITS = 8, 16  # of an output (PS3.3 C.11.1.1)
_SURELY_NARROWER = 2  # bits; a table that peaks one bit below its range may be meant so


@dataclass(frozen=True, slots=True)
class LookupTable:
    """`data[i]` is the output for the input `first + i`, clamped at both ends; `disagrees`: with its descriptor."""

    first: int
    data: Floats
    bits: int
    disagrees: bool

    @property
    def top(self) -> float:
        """The output that is white."""
        return 2.0**self.bits - 1

    def apply(self, x: NDArray[Any]) -> Floats:
        """The output for every input."""
        outputs: Floats = self.data[np.clip(x - self.first, 0, len(self.data) - 1)]
        return outputs


def read_table(item: Dataset, low: float, high: float) -> LookupTable | None:
    """Read LUTDescriptor and LUTData for inputs from `low` to `high`; None when they give no picture of them."""
    descriptor, data = _words(item, "LUTDescriptor"), _words(item, "LUTData")
    if len(descriptor) < 3 or len(data) == 0:
        return None
    entries, first, bits = (int(word) for word in descriptor[:3])
    entries = entries or _ALL
    if len(data) < entries <= 2 * len(data) and bits <= _FEWEST_BITS:
        data = data.view(np.uint8).astype(np.uint16)  # 8-bit entries, packed (PS3.3 C.11.1.1.1)
    first = _first_input(first, len(data), low, high)
    outputs = data[: _length(entries, len(data), high - first)].astype(np.float64)
    is_outside = high < first or low > first + len(outputs) - 1
    if outputs.max() == outputs.min() or is_outside:
        return None
    width = _width(bits, int(outputs.max()))
    return LookupTable(first, outputs, width, width != bits or len(outputs) < entries or len(data) > entries + 1)


def _first_input(word: int, length: int, low: float, high: float) -> int:
    """The first input mapped: signed or not, whichever lets the table meet the values that are there."""
    if word < _SIGN:
        return word
    as_signed, as_unsigned = word - _ALL, word
    met = [max(0.0, min(high, first + length - 1) - max(low, first)) for first in (as_signed, as_unsigned)]
    if met[0] == met[1]:
        return as_signed if low < 0 else as_unsigned
    return as_signed if met[0] > met[1] else as_unsigned


def _length(entries: int, available: int, last: float) -> int:
    """How many of the entries that are there belong to the table; `last`: the place of the largest input."""
    return available if entries < available and last >= entries else min(entries, available)


def _width(bits: int, largest: int) -> int:
    """The bits of an output: the descriptor's, unless the outputs need more, or surely have fewer."""
    needed = max(largest.bit_length(), 1)
    is_full = largest == 2**needed - 1
    if not _FEWEST_BITS <= bits <= _MOST_BITS:
        return max(needed, _FEWEST_BITS)
    if needed > bits or (needed < bits and needed >= _FEWEST_BITS and (is_full or bits - needed >= _SURELY_NARROWER)):
        return needed
    return bits


def _words(item: Dataset, keyword: str) -> NDArray[np.uint16]:
    """The 16-bit words of an element that may be US, SS or OW, raw or converted."""
    if keyword not in item:
        return np.empty(0, np.uint16)
    element = item.get_item(keyword)
    value = element.value
    if isinstance(value, bytes):
        little = not isinstance(element, RawDataElement) or element.is_little_endian
        return np.frombuffer(value[: len(value) // 2 * 2], "<u2" if little else ">u2").astype(np.uint16)
    words = [] if value is None else value if isinstance(value, Iterable) else [value]
    return (np.array([int(word) for word in words], np.int64) & 0xFFFF).astype(np.uint16)
