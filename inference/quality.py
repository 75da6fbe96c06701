"""The quality check: an image that the model was not made for is not scored, and the report says what is wrong with it.

The check looks at pixels only. What a header says (a lateral, a child, a hand) is the business of `inference.select`;
the check is for headers that say nothing, or the wrong thing.
"""

from __future__ import annotations

import math

from core.domain.model import Quality
from core.domain.study import Image, Instance
from core.errors import InvalidStudy
from models.package.format import ModelPackage
from models.quality import Fault, QualityCheck, QualityModel

CHILD = "child"
NO_QUALITY_CHECK = "The image was not checked for faults: this model comes without a quality check"


def assess(model: QualityModel, image: Image) -> Quality:
    """Score `image` (0..1, shape (rows, columns)) for every fault, and name the one it is to be refused for, if any.

    Raises InvalidStudy when a score is not a finite number: NaN is above no threshold, and would pass for sound.
    """
    scores = model.scores(image.pixels)
    if not all(math.isfinite(score) for score in scores.values()):
        raise InvalidStudy("the quality check's answer for this image is not a number, so nothing can be said of it")
    return _judged(model.check, scores)


def judge_remembered(check: QualityCheck | None, remembered: Quality | None) -> Quality | None:
    """Remembered scores by the thresholds and in the words of `check`: they are of the weights, faults of the version.

    None without a check. Raises LookupError when they are not its scores: other weights, other names, none remembered.
    """
    if check is None:
        return None
    if remembered is None or remembered.sha256 != check.sha256:
        raise LookupError("this check did not look at the image")
    if list(remembered.scores) != [fault.name for fault in check.faults]:
        raise LookupError("this check gives its scores other names")
    return _judged(check, remembered.scores)


def refuse_faulty(quality: Quality | None, instance: Instance) -> None:
    """Raise InvalidStudy, with the words for the report, where the check found a fault.

    A child by its looks is refused whatever the header says (select has refused the children of the header): the
    words then tell which of the two the reader has to settle. The age itself is never repeated.
    """
    if quality is None or not quality.fault:
        return
    if quality.fault != CHILD:
        raise InvalidStudy(quality.reason)
    aside = "the header says that the patient is an adult" if instance.patient_age_years else "no age is given"
    raise InvalidStudy(f"{quality.reason}; {aside}")


def quality_limitations(package: ModelPackage) -> tuple[str, ...]:
    """What a report must say of the check: something only where there is none."""
    return () if package.quality else (NO_QUALITY_CHECK,)


def _judged(check: QualityCheck, scores: dict[str, float]) -> Quality:
    worst = check.worst(scores)
    if worst is None:
        return Quality(sha256=check.sha256, scores=scores)
    return Quality(sha256=check.sha256, scores=scores, fault=worst.name, reason=_words(worst, scores[worst.name]))


def _words(fault: Fault, score: float) -> str:
    return f"{fault.reason} (quality check: {fault.kind} {score:.3g}, refused above {fault.threshold:.3g})"
