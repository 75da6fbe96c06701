"""Whether the audit tells the truth, on patients whose truth was planted: `python -m fairness.simulation`.

Three questions: how often does an audit of a fair model raise an alarm; how often does it find a gap that is there; how
often does a 95 % interval hold what it is about. Each simulated audit goes through `run_audit`, like a real one.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from core.statistics.calibration import bins_sorted
from core.statistics.proportions import wilson
from core.wording import with_interval
from fairness.audit.nouns import Audit, Provenance
from fairness.audit.run import Request, run_audit
from fairness.audit.table import AuditTable, Scores, ScoresInMemory
from fairness.grouping import Grouping

SEED = 20261124
AUDITS = 200
FAIR_TIMES = 10  # so many more audits without a gap: 200 cannot tell an alarm rate of .035 from the bound of .05
DRAWS = 300
FINDING = "effusion"
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table in docs/studies/audit.md: how often of `trials`, and what it ought to be."""

    question: str
    times: int
    trials: int
    wanted: str

    @property
    def share(self) -> float:
        return self.times / self.trials

    def __str__(self) -> str:
        sure = wilson(self.times, self.trials)
        share = with_interval(self.share, sure.low, sure.high, digits=3)
        return f"| {self.question} | {share} | {self.trials:,} | {self.wanted} |"


def simulate(audits: int = AUDITS, seed: int = SEED, kinds: Sequence[int] = (0, 1, 2, 3, 4)) -> Iterator[Line]:
    """Every line, as it is done; each kind has random numbers of its own, so that one can be made again alone."""
    randoms = [np.random.default_rng([seed, kind]) for kind in range(5)]
    questions: list[tuple[str, str, Callable[[], bool]]] = [
        ("no gap: an alarm, 33 cohorts", "at most 0.05", lambda: bool(_fair(randoms[0], 1).alarms)),
        (
            "no gap, three images a patient: an alarm, 33 cohorts",
            "at most 0.05",
            lambda: bool(_fair(randoms[1], 3).alarms),
        ),
        (
            "gap 0.10, 20 cohorts of 434 positives each: found",
            "at least 0.80",
            lambda: _finds(_one_of_twenty(randoms[2]), "site=S00"),
        ),
        (
            "gap 0.10, two groups of 434 positives, 20 cohorts with intersections: found",
            "no target: 38 tests instead of 20",
            lambda: _finds(_one_of_two(randoms[3]), "group=A"),
        ),
    ]
    for kind in kinds:
        if kind < len(questions):
            question, wanted, holds = questions[kind]
            yield _line(question, FAIR_TIMES * audits if kind < 2 else audits, wanted, holds)
        else:
            yield from coverage(audits, randoms[kind])


def _line(question: str, audits: int, wanted: str, holds: Callable[[], bool]) -> Line:
    return Line(question, sum(holds() for _ in range(audits)), audits, wanted)


def _finds(audit: Audit, cohort: str) -> bool:
    return any(test.cohort == cohort and test.metric == "fnr_gap" and test.gap > 0 for test in audit.alarms)


def _fair(random: Random, images_per_patient: int) -> Audit:
    """3,000 images, by sex, age band and view; all images of a patient are like each other, and no cohort is worse."""
    patients = np.repeat(np.arange(3000 // images_per_patient, dtype=np.int32), images_per_patient)
    count = int(patients.max()) + 1
    own = {
        "sex": random.integers(0, 2, count),
        "age_band": random.choice(5, count, p=[0.05, 0.2, 0.3, 0.3, 0.15]),
        "view": random.integers(0, 2, count),
    }
    attributes = {name: _grouping(codes[patients]) for name, codes in own.items()}
    truths = (random.random(count) < 0.3)[patients]
    like = norm.ppf(random.random(count))[patients]
    latent = np.sqrt(0.6) * like + np.sqrt(0.4) * random.standard_normal(len(patients))
    return _audit(truths, expit(1.5 * latent + np.where(truths, 1.5, -2.0)), attributes, patients)


def _one_of_twenty(random: Random) -> Audit:
    """Twenty sites with 434 positives and 434 negatives each; one misses 0.23 of its positives, the others 0.13."""
    site = np.repeat(np.arange(20), 868)
    truths = np.tile(np.repeat([True, False], 434), 20)
    missed = np.where(site == 0, 0.23, 0.13)
    return _audit(truths, _flagged(random, truths, missed), {"site": _grouping(site, "S{:02d}")})


def _one_of_two(random: Random) -> Audit:
    """Two groups of 434 positives and 434 negatives; the first misses 0.23 of its positives, the other 0.13."""
    group = np.repeat([0, 1], 868)
    truths = np.tile(np.repeat([True, False], 434), 2)
    attributes = {
        "group": Grouping(("A", "B"), group.astype(np.int16)),
        "station": _grouping(random.integers(0, 6, len(group))),
    }
    return _audit(truths, _flagged(random, truths, np.where(group == 0, 0.23, 0.13)), attributes)


def _flagged(random: Random, truths: NDArray[np.bool_], missed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities on the right side of 0.5, but for the share of positives that is missed and 0.10 of negatives."""
    wrong = random.random(len(truths)) < np.where(truths, missed, 0.10)
    return np.where(truths ^ wrong, 0.5, 0.0) + 0.5 * random.random(len(truths))


def coverage(audits: int, random: Random) -> Iterator[Line]:
    """How often each kind of interval holds the truth: five cohorts of 500 images and all of them, in each audit."""
    truth = _true_figures(np.random.default_rng(1))
    held: dict[str, list[bool]] = defaultdict(list)
    for _ in range(audits):
        truths, probabilities = _model(random, 2500)
        for row in _audit(truths, probabilities, {"site": _grouping(np.repeat(np.arange(5), 500))}).rows:
            if row.metric in truth and row.value is not None and row.low is not None and row.high is not None:
                held[row.metric].append(row.low <= truth[row.metric] <= row.high)
    for metric, found in held.items():
        yield Line(f"95 % interval of {metric} holds the truth", sum(found), len(found), "0.93 to 0.97")


def _model(random: Random, count: int) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """A binormal model that says too little: positives are a third, AUROC 0.86, miscalibrated by about 0.07."""
    truths = random.random(count) < 1 / 3
    latent = random.standard_normal(count) + np.where(truths, 1.5, 0.0)
    return truths, expit(1.1 * latent - 1.8)


def _true_figures(random: Random) -> dict[str, float]:
    """Of the model above: in closed form, calibration from four million images."""
    threshold = 1.8 / 1.1  # of the latent, where the probability is 0.5
    sensitivity, specificity, share = float(norm.sf(threshold - 1.5)), float(norm.cdf(threshold)), 1 / 3
    flagged = share * sensitivity + (1 - share) * (1 - specificity)
    truths, probabilities = _model(random, 4_000_000)
    order = np.argsort(probabilities)
    error = bins_sorted(truths[order], probabilities[order]).error
    return {
        "flag_rate": flagged,
        "prevalence": share,
        "auroc": float(norm.cdf(1.5 / np.sqrt(2))),
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": share * sensitivity / flagged,
        "npv": (1 - share) * specificity / (1 - flagged),
        "fnr_gap": 0.0,
        "fpr_gap": 0.0,
        "brier": float(np.square(probabilities - truths).mean()),
        "ece": error,
        "ece_debiased": error,
    }


def _grouping(codes: NDArray[np.int64], pattern: str = "V{}") -> Grouping:
    return Grouping(tuple(pattern.format(code) for code in range(int(codes.max()) + 1)), codes.astype(np.int16))


def _audit(
    truths: NDArray[np.bool_],
    probabilities: NDArray[np.float64],
    attributes: dict[str, Grouping],
    patients: NDArray[np.int32] | None = None,
) -> Audit:
    whose = np.arange(len(truths), dtype=np.int32) if patients is None else patients
    source = ScoresInMemory({FINDING: Scores(probabilities, truths.astype(np.int8))})
    table = AuditTable(patients=whose, attributes=attributes, source=source)
    origin = Provenance(code_version="", made_at="", source="simulation")
    return run_audit(table, Request(by=tuple(attributes), draws=DRAWS), origin)


def main(arguments: Sequence[str]) -> None:
    """Print the table of docs/studies/audit.md.

    Arguments: the number of audits of each kind (ten times as many of those without a gap), and which kinds (0 to 4).
    """
    audits = int(arguments[0]) if arguments else AUDITS
    kinds = [int(kind) for kind in arguments[1:]] or range(5)
    sys.stdout.write("| question | share, 95 % interval | of | wanted |\n| --- | --- | --- | --- |\n")
    for line in simulate(audits, kinds=kinds):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
