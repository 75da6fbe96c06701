"""Ground truth: which answer counts, and what can be said of studies without an answer.

Readers answer mostly for studies that the model flagged. A sensitivity among those alone is too good, because what the
model missed is missing from it too (verification bias; Begg and Greenes, Biometrics 1983). So a share of the studies
without a flag is put up for a blind read, drawn by a keyed hash: it cannot be chosen, and asking twice draws the same.
With such reads a figure of all studies can be weighted (`fairness.service.weights`). A plain one stays "among verified"
unless studies with and without a flag were answered at about the same rate: one in twenty read blind and all of the
flagged ones leaves it nearly as wrong as none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.domain.reading import GroundTruth, ReadingRecord, TruthSource
from core.domain.report import ReportStatus
from core.pseudonym import fraction

PRECEDENCE = tuple(TruthSource)
AMONG_VERIFIED = "among verified"
ABOUT_THE_SAME = (0.8, 1.25)  # answered share of studies without a flag, divided by that of flagged ones

Settled = dict[tuple[str, str], GroundTruth]
"""The answer that counts, by study and finding."""


def settled(answers: Iterable[GroundTruth]) -> Settled:
    """For each study and finding the one answer that counts: of the most trusted source its newest.

    Sources in order of trust: `core.domain.reading.TruthSource`. Of two answers of one source given at the same moment
    the one that came in last counts.
    """
    found: Settled = {}
    for answer in answers:
        key = (answer.study_id, answer.finding)
        if key not in found or _weight(answer) >= _weight(found[key]):
            found[key] = answer
    return found


def is_drawn(study_id: str, key: bytes, rate: float) -> bool:
    """Whether a study, should it have no flag, is put up for a blind read; `rate` 0..1, `key` the site's."""
    return fraction(key, "blind read", study_id) < rate


def is_without_flag(made: ReadingRecord) -> bool:
    """A study that was reported and has nothing above its operating point."""
    return made.status is ReportStatus.REPORTED and not any(made.above.values())


def to_be_read_blind(readings: Sequence[ReadingRecord], truth: Settled, key: bytes, rate: float) -> list[ReadingRecord]:
    """The drawn studies without a flag on which a finding still waits for its answer, oldest first."""
    drawn = (made for made in readings if is_without_flag(made) and is_drawn(made.study_id, key, rate))
    waiting = [made for made in drawn if any((made.study_id, finding) not in truth for finding in made.above)]
    return sorted(waiting, key=lambda made: made.read_at)


@dataclass(frozen=True, slots=True)
class Verification:
    """How much of one finding was verified: studies and answers, with and without a flag of any finding."""

    flagged: int
    flagged_answered: int
    unflagged: int
    unflagged_answered: int
    unflagged_blind: int  # of these, by somebody who had not seen the AI

    @property
    def is_blind_read(self) -> bool:
        """Whether unflagged studies are represented at all, so that weights can be made."""
        return self.unflagged_blind > 0

    @property
    def is_even(self) -> bool:
        """Whether a plain figure is one of all studies: both strata answered about as often, by blind reads alone too.

        A site that flagged everything, or nothing, has one stratum, and there is nothing to be uneven about.
        """
        if not self.flagged or not self.unflagged:
            return self.flagged_answered > 0 or self.unflagged_blind > 0
        share = self.flagged_answered / self.flagged
        others = (self.unflagged_blind / self.unflagged, self.unflagged_answered / self.unflagged)
        low, high = ABOUT_THE_SAME
        return share > 0 and all(low <= other / share <= high for other in others)

    @property
    def words(self) -> str:
        """What a figure that is not weighted must say about itself; "" where it is one of all studies."""
        return "" if self.is_even else AMONG_VERIFIED

    def weight(self, made: ReadingRecord) -> float:
        """How many studies an answered one represents (inverse probability of being answered, per stratum)."""
        if is_without_flag(made):
            return self.unflagged / self.unflagged_blind if self.unflagged_blind else 0.0
        return self.flagged / self.flagged_answered if self.flagged_answered else 0.0


def verification(readings: Sequence[ReadingRecord], truth: Settled, finding: str) -> Verification:
    """Count studies and answers of one finding in the two strata that are verified with different probability."""
    counts: Counter[str] = Counter()
    for made in readings:
        if finding not in made.above:
            continue
        stratum = "unflagged" if is_without_flag(made) else "flagged"
        counts[stratum] += 1
        answer = truth.get((made.study_id, finding))
        if answer is not None:
            counts["flagged_answered"] += stratum == "flagged"
            counts["unflagged_answered"] += stratum == "unflagged"
            counts["unflagged_blind"] += stratum == "unflagged" and not answer.ai_seen
    return Verification(
        flagged=counts["flagged"],
        flagged_answered=counts["flagged_answered"],
        unflagged=counts["unflagged"],
        unflagged_answered=counts["unflagged_answered"],
        unflagged_blind=counts["unflagged_blind"],
    )


def _weight(answer: GroundTruth) -> tuple[int, float]:
    return (-PRECEDENCE.index(answer.source), answer.at)
