"""No patient can be found in an audit: an attacker with a solver and every audit that can be asked for learns nothing.

The attacker is written apart from the code that withholds: it reads published rows alone, knows how cohorts add up and
that positives and negatives are all images, and asks a linear program how small and how large each count may be.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import linprog

from core.errors import ConfigurationError
from fairness.audit.nouns import SUPPRESSED, Provenance
from fairness.audit.run import Request, run_audit
from fairness.audit.table import AuditTable, Scores, ScoresInMemory
from fairness.grouping import Grouping
from fairness.suppression.lattice import Lattice
from fairness.suppression.withhold import WIDTH

ORIGIN = Provenance(code_version="", made_at="", source="test")
SHARES = {
    "sex": ([0.48, 0.51, 0.01], ["F", "M", "UNKNOWN"]),
    "age_band": ([0.01, 0.2, 0.4, 0.3, 0.09], ["0-17", "18-39", "40-59", "60-79", "80+"]),
    "view": ([0.3, 0.69, 0.01], ["AP", "PA", "LL"]),
    "device": ([0.5, 0.3, 0.15, 0.03, 0.02], ["A", "B", "C", "D", "E"]),
}


def table_of(seed: int, images: int, prevalence: float, per_patient: int = 1) -> AuditTable:
    random = np.random.default_rng(seed)
    attributes = {
        name: Grouping(tuple(values), random.choice(len(shares), images, p=shares).astype(np.int16))
        for name, (shares, values) in SHARES.items()
    }
    truths = (random.random(images) < prevalence).astype(np.int8)
    source = ScoresInMemory({"mass": Scores(random.random(images), truths)})
    return AuditTable(
        patients=(np.arange(images) // per_patient).astype(np.int32), attributes=attributes, source=source
    )


def every_audit(table: AuditTable) -> list:
    """Rows of the audits by every attribute and by every two of them, in either order, and by all."""
    names = list(table.attributes)
    asked = [(name,) for name in names] + list(combinations(names, 2)) + [tuple(reversed(names))]
    return [row for by in asked for row in run_audit(table, Request(by=by, draws=2), ORIGIN).rows]


def parts_of(cohort: str) -> frozenset[str]:
    return frozenset(cohort.split(" & ")) if cohort != "all" else frozenset()


class Attacker:
    """Holds what was published: for each cohort the images, positives and negatives, None where withheld."""

    def __init__(self, table: AuditTable, rows: list) -> None:
        lattice = Lattice.of(table.attributes, table.images)
        self.names = [frozenset(), *(parts_of(n) for layer in lattice.layers for n in layer.names(layer.attributes))]
        self.place = {name: index for index, name in enumerate(self.names)}
        self.known: dict[tuple[str, int], float] = {}
        self.named: set[int] = set()
        for row in rows:
            cell = self.place[parts_of(row.cohort)]
            self.named.add(cell)
            if row.metric == "flag_rate" and not row.note.startswith(SUPPRESSED):
                self.tell("n", cell, row.n)
            if row.metric == "prevalence" and not row.note.startswith(SUPPRESSED):
                self.tell("n", cell, row.n)
                self.tell("p", cell, row.positives)
                self.tell("q", cell, row.negatives)
        self.attributes = {name: grouping.values for name, grouping in table.attributes.items()}

    def tell(self, kind: str, cell: int, count: float) -> None:
        assert self.known.setdefault((kind, cell), count) == count

    def system(self) -> tuple[np.ndarray, np.ndarray, list[tuple[float, float | None]]]:
        size, kinds = len(self.names), "npq"
        rows, totals = [], []

        def add(terms: list[tuple[str, int, float]]) -> None:
            row = np.zeros(3 * size)
            for kind, cell, sign in terms:
                row[kinds.index(kind) * size + cell] += sign
            rows.append(row)
            totals.append(0.0)

        for cell in range(size):
            add([("n", cell, 1.0), ("p", cell, -1.0), ("q", cell, -1.0)])
        for name, values in self.attributes.items():
            for base in (self.names[0], *(n for n in self.names if len(n) == 1 and not self.is_of(n, name))):
                parts = [self.place[base | {f"{name}={value}"}] for value in values]
                for kind in kinds:
                    add([(kind, part, 1.0) for part in parts] + [(kind, self.place[base], -1.0)])
        return np.array(rows), np.array(totals), self.bounds()

    def bounds(self) -> list[tuple[float, float | None]]:
        size = len(self.names)
        bounds: list[tuple[float, float | None]] = [(0.0, None)] * (3 * size)
        for cell in self.named:
            bounds[cell] = (1.0, None)  # it would not be named without an image
        for (kind, cell), count in self.known.items():
            bounds["npq".index(kind) * size + cell] = (count, count)
        layers = {self.layer_of(self.names[cell]) for cell in self.named}
        for cell, name in enumerate(self.names):
            shown = all(("n", self.place[frozenset([part])]) in self.known for part in name)
            if len(name) == 2 and shown and cell not in self.named and self.layer_of(name) in layers:
                bounds[cell] = (0.0, 0.0)  # it is not named though its layer is: it has no image
        return bounds

    @staticmethod
    def layer_of(name: frozenset[str]) -> frozenset[str]:
        return frozenset(part.split("=")[0] for part in name)

    @staticmethod
    def is_of(name: frozenset[str], attribute: str) -> bool:
        return any(part.startswith(attribute + "=") for part in name)

    def widths(self) -> dict[tuple[str, frozenset[str]], float]:
        """For each withheld count of a named cohort: how far apart the smallest and the largest possible one are."""
        matrix, totals, bounds = self.system()
        size, found = len(self.names), {}
        for cell in sorted(self.named):
            for index, kind in enumerate("npq"):
                if (kind, cell) in self.known:
                    continue
                aim = np.zeros(3 * size)
                aim[index * size + cell] = 1.0
                ends = [
                    linprog(sign * aim, A_eq=matrix, b_eq=totals, bounds=bounds, method="highs") for sign in (1.0, -1.0)
                ]
                assert ends[0].status == 0
                found[kind, self.names[cell]] = np.inf if ends[1].status == 3 else -ends[1].fun - ends[0].fun
        return found


@pytest.mark.parametrize(("seed", "prevalence"), [(1, 0.3), (2, 0.1), (3, 0.05), (4, 0.3), (5, 0.02), (6, 0.15)])
def test_no_withheld_count_follows_from_all_audits_together(seed, prevalence):
    table = table_of(seed, images=1200, prevalence=prevalence)
    attacker = Attacker(table, every_audit(table))
    widths = attacker.widths()
    assert len(widths) >= 10  # the tables hold small cohorts
    assert len([kind for kind, _ in attacker.known if kind == "p"]) >= 3  # and something is shown
    assert min(widths.values()) >= WIDTH - 1e-6, min(widths.items(), key=lambda item: item[1])


def test_the_attacker_can_win():
    """Without complementary suppression the solver finds the count: the test above can fail."""
    table = table_of(1, images=600, prevalence=0.3)
    lattice = Lattice.of(table.attributes, table.images)
    counts, names = lattice.counts(), ["all", *(n for layer in lattice.layers for n in layer.names(layer.attributes))]
    attacker = Attacker(table, [])
    for place, name in enumerate(names):
        if counts[place]:
            attacker.named.add(attacker.place[parts_of(name)])
            if counts[place] >= 11:
                attacker.tell("n", attacker.place[parts_of(name)], float(counts[place]))
    assert attacker.widths()["n", frozenset(["sex=UNKNOWN"])] < 1


@pytest.mark.parametrize("per_patient", [1, 4])
def test_small_cohorts_are_withheld_by_patients_not_by_images(per_patient):
    table = table_of(7, images=1200, prevalence=0.3, per_patient=per_patient)
    rows = run_audit(table, Request(by=tuple(table.attributes), draws=2), ORIGIN).rows
    truths = table.source.scores("mass").truths
    for row in rows:
        members = np.ones(table.images, bool)
        for part in parts_of(row.cohort):
            name, value = part.split("=")
            grouping = table.attributes[name]
            members &= grouping.codes == grouping.values.index(value)
        people = [len(np.unique(table.patients[members & kind])) for kind in (members, truths == 1, truths == 0)]
        if people[0] < 11:
            assert row.note.startswith(SUPPRESSED)
        if row.positives is not None:
            assert row.n == row.positives + row.negatives == members.sum()
            assert min(people) >= 11
        if row.note.startswith(SUPPRESSED):
            assert (row.value, row.low, row.high, row.n, row.positives, row.negatives) == (None,) * 6


def test_what_is_withheld_does_not_depend_on_what_is_asked():
    table = table_of(8, images=900, prevalence=0.1)
    rows = every_audit(table)
    by_cohort: dict = {}
    for row in rows:
        by_cohort.setdefault((parts_of(row.cohort), row.metric), set()).add((row.value, row.n, row.note))
    assert {key: found for key, found in by_cohort.items() if len(found) > 1 and "gap" not in key[1]} == {}


def test_an_audit_of_ten_patients_is_about_persons():
    with pytest.raises(ConfigurationError, match="11 patients"):
        run_audit(table_of(1, images=10, prevalence=0.5), Request(by=("sex",)), ORIGIN)
