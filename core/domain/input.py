"""What a model reads: one radiograph, the slices of a series, several series of a study, as one noun."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.domain.study import Instance

SQUARE = "square"
"""How one image becomes an array where a package says nothing else: padded to a square, 0 (black) .. 1 (white)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where the pixels of an input are; a single image is the case of one slice.

    `spacing`: mm between slices, rows and columns, 1 where nothing is said. `orientation`: the cosines of a row and of
    a column (PS3.3 C.7.6.2.1.1), `origin`: the centre of the first pixel of the first slice, in mm, in the patient.
    """

    rows: int
    columns: int
    slices: int = 1
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    orientation: tuple[float, float, float, float, float, float] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def of(cls, instance: Instance) -> Geometry:
        """The geometry of one image, as far as its header gives it."""
        row_mm, column_mm = instance.pixel_spacing or (1.0, 1.0)
        return cls(rows=instance.rows, columns=instance.columns, spacing=(1.0, row_mm, column_mm))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInput:
    """What one run of one model is made of.

    `instances` are in the order of the array: slice by slice. `roles`: which channels are which series, where the model
    tells them apart. `prepared_as`: how the instances become an array, as the package describes it.
    """

    instances: tuple[Instance, ...]
    geometry: Geometry
    roles: Mapping[str, slice] = field(default_factory=dict)
    prepared_as: str = SQUARE

    @classmethod
    def of(cls, instance: Instance, prepared_as: str = SQUARE) -> ModelInput:
        """One image as an input of its own."""
        return cls(instances=(instance,), geometry=Geometry.of(instance), prepared_as=prepared_as)

    @property
    def key(self) -> str:
        """The identity of the input: SHA-256 of what decides its array. Two different inputs never share it."""
        roles = sorted((name, part.start, part.stop, part.step) for name, part in self.roles.items())
        return input_key(list(map(_picture_of, self.instances)), roles, self.prepared_as)

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        """The instances by name, in the order of the array."""
        return tuple(instance.sop_instance_uid for instance in self.instances)

    @property
    def is_volume(self) -> bool:
        """Whether the array has a slice axis."""
        return len(self.instances) > 1


def _picture_of(instance: Instance) -> str:
    return f"{instance.sop_instance_uid}#{instance.edition}" if instance.edition else instance.sop_instance_uid


def input_key(sop_instance_uids: list[str], roles: list[tuple[str, int, int, int]], prepared_as: str) -> str:
    """The key of an input, hexadecimal; migration 0007 computes the same for what older versions remembered."""
    text = json.dumps([prepared_as, sop_instance_uids, roles], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
