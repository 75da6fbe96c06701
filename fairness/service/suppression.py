"""Which cohorts a service's figures are withheld of: those that their audit withholds, and more if need be.

An audit speaks of studies that were analysed, the figures of a service of those that failed too. A reader of both can
subtract, so what the audit hides is hidden here, and the rest is decided on its lattice, by people and not by studies,
with the same room for doubt (`fairness.suppression.withhold`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from core.domain.reading import ReadingRecord
from fairness.audit.nouns import SUPPRESSED, Row
from fairness.cohorts import ALL
from fairness.grouping import Grouping
from fairness.suppression.lattice import Lattice
from fairness.suppression.withhold import Secret, Withheld, withhold

Places = NDArray[np.intp]


class Cells:
    """All patients and each value of each attribute, with the people among some readings in them."""

    def __init__(
        self, readings: Sequence[ReadingRecord], attributes: Mapping[str, Mapping[str, str]], by: Sequence[str]
    ) -> None:
        groupings = {name: Grouping.of([attributes[made.study_id][name] for made in readings]) for name in by}
        singles = tuple(layer for layer in Lattice.of(groupings, len(readings)).layers if len(layer.attributes) == 1)
        self._lattice = Lattice(singles, len(readings))
        _, patients = np.unique([made.patient for made in readings], return_inverse=True)
        self._patients = patients.astype(np.int32)
        self.names = [ALL, *(name for layer in singles for name in layer.names(by))]

    def hidden_in(self, rows: Iterable[Row]) -> Withheld:
        """What these rows of the audit withhold; of an attribute that they do not mention, everything."""
        named, hidden = set(), set()
        for row in rows:
            named.add(row.cohort)
            if row.note.startswith(SUPPRESSED):
                hidden.add(row.cohort)
        cells = np.array([name in hidden for name in self.names])
        unnamed = [layer for layer in self._lattice.layers if not named.intersection(self.names[layer.cells])]
        for layer in unnamed:
            cells[layer.cells] = True
        return Withheld(cells, frozenset(layer.attributes for layer in unnamed))

    def withheld(self, known: Places, parts: Sequence[Places], already: Withheld) -> Withheld:
        """What must be withheld where numbers of the readings `known` and of their `parts` are shown.

        `known`, `parts`: places among the readings. `already`: what is withheld in any case.
        """
        lattice, counts = self._lattice, self._lattice.counts(known)
        whole = withhold(lattice, [Secret.of_images(counts, self._few(known))], already)
        filled = [part for part in parts if len(part)]  # an empty part is no secret
        secrets = [Secret.of_finding(lattice.counts(part), self._few(part), counts, whole) for part in filled]
        return withhold(lattice, secrets, whole)

    def without_few(self, parts: Sequence[Places], already: Withheld) -> Withheld:
        """What must be withheld where something is said of each part, but no number."""
        return Withheld(np.logical_or.reduce([already.cells, *map(self._few, parts)]), already.layers)

    def is_shown(self, withheld: Withheld) -> dict[str, bool]:
        """Whether each cohort is shown; one of attributes that must not be mentioned is left out."""
        unnamed = {
            place for one in self._lattice.layers if one.attributes in withheld.layers for place in _of(one.cells)
        }
        return {name: not withheld.cells[place] for place, name in enumerate(self.names) if place not in unnamed}

    def _few(self, places: Places) -> NDArray[np.bool_]:
        return self._lattice.few_people(self._patients, places)


def _of(cells: slice) -> range:
    return range(cells.start, cells.stop)
