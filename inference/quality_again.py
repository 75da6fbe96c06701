"""What a quality gate said before, judged again: scores are of the weights, faults are of the version that asks."""

from __future__ import annotations

from core.domain import Quality
from inference import quality
from models.quality import QualityGate


def judged_again(gate: QualityGate | None, remembered: Quality | None) -> Quality | None:
    """The remembered scores, judged by the thresholds and in the words of `gate`; None without a gate.

    Raises LookupError when they are not its scores: other weights, other names, or none remembered.
    """
    if gate is None:
        return None
    if remembered is None or remembered.sha256 != gate.sha256:
        raise LookupError("this gate did not look at the image")
    scores = remembered.scores
    if list(scores) != [fault.name for fault in gate.faults]:
        raise LookupError("this gate gives its scores other names")
    worst = gate.worst(scores)
    if worst is None:
        return Quality(sha256=gate.sha256, scores=scores)
    reason = quality._words(worst, scores[worst.name])
    return Quality(sha256=gate.sha256, scores=scores, fault=worst.name, reason=reason)
