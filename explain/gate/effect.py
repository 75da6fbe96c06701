"""How much of an effect a map must have: a difference that no one would notice is no explanation.

With enough images every difference is certainly above 0, also that of an untrained network, whose answer hardly changes
whatever is done to the image. So the difference has to be large enough, and so has the change of the probability.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from explain.gate.document import FaithfulnessCurve, Figure, GateCurves

LEAST_EFFECT = 0.02
"""Of the insertion minus deletion AUC, above a random map and above a centred Gaussian, in the mean over maps."""
LEAST_SWING = 0.05
"""Of the probability while the image is blurred and comes back, in the mean over maps."""
GAINS = {"random map": "above_random_map", "centred Gaussian": "above_centred_gaussian"}
SWING = "swing"
RULE = (
    f"both must be at least {LEAST_EFFECT} with a lower bound above 0, and the probability must change by at least "
    f"{LEAST_SWING}"
)


def swing_of(*curves: Sequence[float]) -> float:
    """How far the probability goes up and down along all curves of one map."""
    values = [value for curve in curves for value in curve]
    return max(values) - min(values)


def is_large_enough(figures: Mapping[str, Figure], curves: GateCurves) -> bool:
    """Whether the figures of the faithfulness test show an effect; those of results from before this rule count too.

    An old result has no swing: that of its mean curves is taken, which is never larger.
    """
    gains = [figures.get(name) for name in GAINS.values()]
    return all(map(_is_gain, gains)) and _swing(figures, curves) >= LEAST_SWING


def _is_gain(figure: Figure | None) -> bool:
    match figure:
        case (float() | int() as value, float() | int() as low, _):
            return value >= LEAST_EFFECT and low > 0
    return False


def _swing(figures: Mapping[str, Figure], curves: GateCurves) -> float:
    match figures.get(SWING), (curves.faithfulness or {}).get("map"):
        case (float() | int() as swing, _):
            return swing
        case (_, FaithfulnessCurve() as mean):
            return swing_of(mean.deletion, mean.insertion)
    return 0.0
