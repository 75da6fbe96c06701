"""The tests of the registration gate, each with its rule; the limits were set before any model was put through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from core.statistics.estimate import Estimate
from core.statistics.resampling import bootstrap
from core.wording import with_interval
from explain.batches import BATCH, Floats
from explain.faithfulness import NULL_SHARE, Curves, curves_of
from explain.gate import effect
from explain.gate import result as names
from explain.gate.document import FaithfulnessCurve, Figure, GateCurves, GateTest, RandomisationCurve
from explain.gate.nouns import GateCase, MapMaker, Predicts
from explain.localisation import AGAINST_CHANCE, measures
from explain.null_maps import centred, surrogate
from explain.perturbation import noisy, shifted, sized
from explain.structure import similarity
from models.package.format import ModelPackage

RANDOM_PAIRS = 50
SHARES_SHUFFLED = (0.1, 0.25, 0.5, 1.0)
SHARES_OF_IMAGE = (0.05, 0.1, NULL_SHARE, 0.5)
MOST_CURVES = 40
"""Maps whose deletion and insertion curves are measured; one by one over the images, so that each has its turn."""
LEAST_MAPS = 10
LEAST_MASS = 0.95
LEAST_STABILITY = 0.8
LEAST_BOXES = 10
"""Boxed images below which localisation is not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """One map that a report would show: of case `row`, for finding number `finding`."""

    row: int
    finding: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What all tests share: the images (n, side, side), the maps (n, findings, h, w) and which of them count."""

    package: ModelPackage
    model: Predicts
    maker: MapMaker
    cases: Sequence[GateCase]
    images: Floats
    maps: Floats
    probabilities: NDArray[np.float64]
    chosen: tuple[Chosen, ...]
    seed: int

    @classmethod
    def of(
        cls, package: ModelPackage, model: Predicts, maker: MapMaker, cases: Sequence[GateCase], *, seed: int
    ) -> Material:
        """Runs the model over the cases. The maps that count are those that a report would show, of positive findings;
        where there are fewer than `LEAST_MAPS`, also that of the finding that comes closest on each other image.
        """
        images = np.stack([case.square for case in cases])
        probabilities = _probabilities(package, model, images)
        thresholds = np.array([finding.operating_point.threshold for finding in package.model.findings])
        reached = probabilities / np.maximum(thresholds, 1e-9)
        chosen = [Chosen(row=int(row), finding=int(finding)) for row, finding in np.argwhere(reached >= 1.0)]
        if len(chosen) < LEAST_MAPS:
            others = sorted(set(range(len(cases))) - {one.row for one in chosen})
            chosen += [Chosen(row=row, finding=int(reached[row].argmax())) for row in others]
        return cls(
            package=package,
            model=model,
            maker=maker,
            cases=cases,
            images=images,
            maps=maker(model, images),
            probabilities=probabilities,
            chosen=tuple(chosen),
            seed=seed,
        )

    def map(self, one: Chosen) -> Floats:
        return np.asarray(self.maps[one.row, one.finding])

    def patients(self, chosen: Sequence[Chosen]) -> NDArray[np.str_]:
        """The patient behind each map."""
        return np.array([self.cases[one.row].patient for one in chosen])

    def in_turn(self) -> list[Chosen]:
        """The chosen maps, the first of each image before the second of any."""
        rows = [one.row for one in self.chosen]
        turns = [rows[:number].count(row) for number, row in enumerate(rows)]
        return [one for _, one in sorted(zip(turns, self.chosen, strict=True), key=lambda pair: pair[0])]

    def baseline(self) -> float:
        """Mean SSIM of random pairs of maps of different images, of one finding: what unrelated maps have in common."""
        random = np.random.default_rng(self.seed)
        pairs = []
        for _ in range(RANDOM_PAIRS):
            one = self.chosen[int(random.integers(len(self.chosen)))]
            other = int(random.choice([row for row in range(len(self.cases)) if row != one.row]))
            pairs.append(similarity(self.map(one), self.maps[other, one.finding]))
        return float(np.mean(pairs))


def randomisation(material: Material, shuffled: Callable[[float], Predicts]) -> tuple[GateTest, RandomisationCurve]:
    """Cascading weight randomisation (Adebayo et al., NeurIPS 2018), judged by Arun's rule: the maps of the fully
    shuffled network are less alike to the real ones than random pairs of real maps are.
    """
    alike = []
    for share in SHARES_SHUFFLED:
        maps = material.maker(shuffled(share), material.images)
        alike.append(float(np.mean([similarity(material.map(c), maps[c.row, c.finding]) for c in material.chosen])))
    baseline = material.baseline()
    curve = RandomisationCurve(shares=SHARES_SHUFFLED, ssim=tuple(alike), random_pairs=baseline)
    test = GateTest(
        name=names.RANDOMISATION,
        passed=alike[-1] < baseline,
        words=f"SSIM of maps with all weights shuffled {alike[-1]:.3f}; it must be below {baseline:.3f}, that of "
        f"{RANDOM_PAIRS} random pairs of maps",
        figures={"ssim_fully_randomised": alike[-1], "ssim_random_pairs": baseline},
    )
    return test, curve


def class_sensitivity(material: Material) -> GateTest:
    """Maps of two findings of one image differ beyond the same baseline.

    Findings overlap (an opacity is an abnormality), so what is asked is that the method can tell findings apart: the
    pair of findings whose maps are least alike over all images must be less alike than random pairs of images.
    """
    findings = [finding.name for finding in material.package.model.findings]
    if len(findings) < 2:
        return GateTest(name=names.CLASS_SENSITIVITY, passed=None, words="the model has one finding only")
    alike = {
        (a, b): float(np.mean([similarity(row[a], row[b]) for row in material.maps]))
        for a, b in combinations(range(len(findings)), 2)
    }
    (a, b), least = min(alike.items(), key=lambda item: item[1])
    baseline, mean = material.baseline(), float(np.mean(list(alike.values())))
    return GateTest(
        name=names.CLASS_SENSITIVITY,
        passed=least < baseline,
        words=f"SSIM of the maps of {findings[a]} and {findings[b]} {least:.3f} (mean of all pairs {mean:.3f}); it "
        f"must be below {baseline:.3f}, that of random pairs of images",
        figures={"ssim_least_alike": least, "ssim_mean_of_pairs": mean, "ssim_random_pairs": baseline},
    )


def faithfulness(material: Material) -> tuple[GateTest, dict[str, FaithfulnessCurve]]:
    """Insertion minus deletion AUC is above that of a random map and of a centred Gaussian, paired over maps, and by
    enough to matter (explain.gate.effect); intervals are bootstrapped by patient.
    """
    side = material.images.shape[1:]
    chosen = material.in_turn()[:MOST_CURVES]
    found: dict[str, list[Curves]] = {"map": [], **{name: [] for name in effect.GAINS}}
    for number, one in enumerate(chosen):
        values = sized(material.map(one), side)
        drawn = sized(surrogate(material.map(one), material.seed + number), side)
        for name, each in (("map", values), ("random map", drawn), ("centred Gaussian", centred(side))):
            own, _ = curves_of(_probability_of(material, one), material.images[one.row], each, [], SHARES_OF_IMAGE)
            found[name].append(own)
    curves = {name: _mean_curve(all_) for name, all_ in found.items()}
    return _judge_effect(found, material.patients(chosen)), curves


def _judge_effect(found: Mapping[str, Sequence[Curves]], patients: NDArray[np.str_]) -> GateTest:
    """The test of faithfulness on the curves of each map, and of what it is compared with."""
    differences = {name: np.array([each.difference for each in all_]) for name, all_ in found.items()}
    gains = {name: _mean(patients, differences["map"] - differences[name]) for name in effect.GAINS}
    swing = float(np.mean([effect.swing_of(each.deletion, each.insertion) for each in found["map"]]))
    figures: dict[str, Figure] = {
        "insertion_minus_deletion": float(differences["map"].mean()),
        **{effect.GAINS[name]: gain.rounded() for name, gain in gains.items()},
        effect.SWING: swing,
        "maps": len(found["map"]),
    }
    words = "; ".join(
        f"above a {name} by {with_interval(gain.value, gain.low, gain.high, digits=3)}" for name, gain in gains.items()
    )
    return GateTest(
        name=names.FAITHFULNESS,
        passed=effect.is_large_enough(figures, GateCurves()),
        words=f"insertion minus deletion AUC {differences['map'].mean():.3f}, {words}; the probability changes by "
        f"{swing:.3f}; {effect.RULE}",
        figures=figures,
    )


def planted_lesion(maker: MapMaker, planted: Predicts) -> GateTest:
    """At least 95 % of the map's mass is in a planted lesion, for a model that looks at nothing else."""
    side, edge = 224, 64
    images = np.random.default_rng(0).uniform(0.2, 0.4, (4, side, side)).astype(np.float32)
    corners = ((20, 24), (132, 30), (61, 77), (140, 140))
    masses = []
    for row, (top, left) in enumerate(corners):
        images[row, top : top + edge, left : left + edge] = 1.0
    for (top, left), maps in zip(corners, maker(planted, images), strict=True):
        values = sized(np.asarray(maps[0]), (side, side)).astype(np.float64)
        values -= values.min()
        inside = values[top : top + edge, left : left + edge].sum()
        masses.append(float(inside / values.sum()) if values.sum() > 0 else 0.0)
    return GateTest(
        name=names.PLANTED_LESION,
        passed=min(masses) >= LEAST_MASS,
        words=f"{min(masses):.1%} of the map's mass in the planted lesion (the worst of {len(corners)} places); it "
        f"must be at least {LEAST_MASS:.0%}",
        figures={"least_mass": min(masses), "masses": tuple(masses)},
    )


def stability(material: Material) -> GateTest:
    """1 % noise and a shift of one pixel leave the map as it was: mean SSIM at least 0.8."""
    side = material.images.shape[1:]
    noise = material.maker(material.model, np.stack([noisy(image, seed=material.seed) for image in material.images]))
    shift = material.maker(material.model, np.stack([shifted(image, 1) for image in material.images]))
    alike = {"noise": np.zeros(len(material.chosen)), "shift": np.zeros(len(material.chosen))}
    for number, one in enumerate(material.chosen):
        values = material.map(one)
        alike["noise"][number] = similarity(values, noise[one.row, one.finding])
        back = shifted(sized(shift[one.row, one.finding], side), -1)
        alike["shift"][number] = similarity(sized(values, side), back)
    means = {name: float(values.mean()) for name, values in alike.items()}
    return GateTest(
        name=names.STABILITY,
        passed=min(means.values()) >= LEAST_STABILITY,
        words=f"SSIM {means['noise']:.3f} after 1 % noise, {means['shift']:.3f} after a shift of one pixel; both "
        f"must be at least {LEAST_STABILITY}",
        figures={f"ssim_{name}": mean for name, mean in means.items()},
    )


def localisation(material: Material) -> GateTest:
    """Against readers' boxes, where there are some: the pointing game, AUPRC and IoU are all above chance, the lower
    bound of each 95 % interval of the difference (bootstrap by patient) above 0.
    """
    findings = [finding.name for finding in material.package.model.findings]
    rows = [
        (case.patient, material.maps[row, findings.index(finding)], boxes)
        for row, case in enumerate(material.cases)
        for finding, boxes in case.boxes.items()
        if finding in findings and boxes.any()
    ]
    if len(rows) < LEAST_BOXES:
        return GateTest(
            name=names.LOCALISATION,
            passed=None,
            words=f"{len(rows)} images with readers' boxes; at least {LEAST_BOXES} are needed to say anything",
        )
    patients = np.array([patient for patient, _, _ in rows])
    each = [measures(values, boxes) for _, values, boxes in rows]
    columns = {name: np.array([one[name] for one in each]) for name in each[0]}
    above = {name: _mean(patients, columns[name] - columns[chance]) for name, chance in AGAINST_CHANCE.items()}
    words = "; ".join(
        f"{name} {columns[name].mean():.3f}, above chance by {with_interval(gain.value, gain.low, gain.high, digits=3)}"
        for name, gain in above.items()
    )
    return GateTest(
        name=names.LOCALISATION,
        passed=all(gain.low > 0 for gain in above.values()),
        words=f"{len(rows)} boxed maps: {words}; all lower bounds must be above 0",
        figures={
            "images": len(rows),
            **{name: _mean(patients, values).rounded() for name, values in columns.items()},
            **{f"{name}_above_chance": gain.rounded() for name, gain in above.items()},
        },
    )


def _mean(patients: NDArray[np.str_], values: NDArray[np.float64]) -> Estimate:
    def mean(drawn: NDArray[np.intp]) -> float:
        return float(values[drawn].mean())

    return bootstrap(patients, mean)


def _mean_curve(curves: list[Curves]) -> FaithfulnessCurve:
    return FaithfulnessCurve(
        shares=tuple(curves[0].shares),
        deletion=tuple(np.mean([each.deletion for each in curves], axis=0).tolist()),
        insertion=tuple(np.mean([each.insertion for each in curves], axis=0).tolist()),
    )


def _probability_of(material: Material, one: Chosen) -> Callable[[Floats], NDArray[np.float64]]:
    return lambda images: _probabilities(material.package, material.model, images)[:, one.finding]


def _probabilities(package: ModelPackage, model: Predicts, images: Floats) -> NDArray[np.float64]:
    findings = [finding.name for finding in package.model.findings]
    parts = [model.predict(images[start : start + BATCH, np.newaxis])[0] for start in range(0, len(images), BATCH)]
    return np.array(
        [
            [package.calibrate(name, float(score)) for name, score in zip(findings, row, strict=True)]
            for row in np.concatenate(parts)
        ]
    )
