"""What is odd about a table of predictions: sentences that belong before any figure of it is believed.

A figure can be right and yet say nothing of patients, because the table holds training rows, a column twice, or the
probability of the other class. Nothing is put right in silence; each question is a remark of the audit, on the
terminal, the page and in audit.json. No sentence shows a value of a cell of somebody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import polars as pl

from core.statistics.ranking import auroc
from fairness.audit.nouns import ALL, Audit, Threshold
from fairness.audit.table import Scores
from fairness.cohorts import UNKNOWN
from fairness.predictions import cells
from fairness.predictions.cells import PATIENT, PROBABILITY, SEXES, STUDY, TRUTH
from fairness.predictions.csv import PredictionsFile

_MOST_OF_ONE_PATIENT = 0.05
_MOST_BLANK = 0.10
_MOST_NAMED = 5
_ENOUGH = 11  # of each truth, before a separation without an error is odd
_MADE_OF = re.compile(r"^(split|fold|is_?train|subset|partition)$", re.IGNORECASE)
_WEIGHTS = re.compile(r"(^|_)weights?$", re.IGNORECASE)
_DECISIONS = ("pred_", "decision_", "y_pred_")
_LOOKS_LIKE_ONE = re.compile(r"^(prob|truth)_|_(prob|proba|probability|score|truth|label)$", re.IGNORECASE)
_MORE_THAN_ONE = re.compile(r"[^;|]+[;|][^;|]")


def questions_of_file(file: PredictionsFile, by: Sequence[str]) -> Iterator[str]:
    """What is odd before any figure is made."""
    yield from _patients(file)
    yield from _lines_alike(file)
    yield from _columns(file.columns)
    for name in by:
        if name in file.columns:
            yield from _spelling(file, name)
    yield from _two_sexes(file)
    if file.how.uncertain and (count := _uncertain(file)):
        yield f"{count:,} truths are uncertain (-1) and count as {file.how.uncertain}, as was asked for"


def questions_of_scores(file: PredictionsFile, thresholds: Mapping[str, Threshold]) -> Iterator[str]:
    """What is odd about the scores and truths of each finding that is audited."""
    for finding, threshold in thresholds.items():
        scores = file.table.source.scores(finding)
        yield from _values(finding, scores)
        yield from _truths(finding, scores)
        yield from _decisions(file, finding, threshold)


def questions_of_audit(audit: Audit) -> Iterator[str]:
    """What is odd about the figures: a model that ranks the wrong way round."""
    for row in audit.rows:
        if row.metric == "auroc" and row.high is not None and row.high < 0.5:
            where = "" if row.cohort == ALL else f" in {row.cohort}"
            yield (
                f"{row.finding} ranks the wrong way round{where}: its AUROC is below 0.5 with its whole interval; "
                "is it the probability of the other class?"
            )


def _patients(file: PredictionsFile) -> Iterator[str]:
    counts = np.bincount(file.table.patients)
    largest = int(counts.max())
    if largest > max(2, _MOST_OF_ONE_PATIENT * file.table.images):
        yield (
            f"{largest:,} of {file.table.images:,} studies are of one patient; is its patient_id a placeholder? "
            "Intervals take them for one person"
        )
    for name in (PATIENT, STUDY):
        yield from _ids(file, name)


def _ids(file: PredictionsFile, name: str) -> Iterator[str]:
    ids = file.lines.select(pl.col(name).str.strip_chars().unique()).collect(engine="streaming")[name]
    bare = ids.str.strip_chars_start("0")
    if twice := len(ids) - bare.n_unique():
        yield (
            f"{twice:,} values of {name} differ from another only in leading zeros: the same patient may count "
            "twice, and intervals are then too narrow"
        )
    if exponents := int(ids.str.contains(r"^\d(\.\d+)?E\+\d+$").sum()):
        yield f"{exponents:,} values of {name} are numbers that a spreadsheet rounded (1.2E+10); export them as text"


def _lines_alike(file: PredictionsFile) -> Iterator[str]:
    others = [name for name in file.columns if name and name != STUDY]
    alike = file.lines.select(pl.struct(others).hash(seed=1)).collect(engine="streaming").to_series().to_numpy()
    if count := len(alike) - len(np.unique(alike)):
        yield (
            f"{count:,} of {len(alike):,} lines agree with another in everything but study_id; counted twice they "
            "make intervals too narrow"
        )


def _columns(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        if _MADE_OF.match(name):
            yield (
                f"there is a column {name}: rows that a model was trained on, or folds of several models, are pooled "
                "here; audit the test rows of one model alone"
            )
        elif _WEIGHTS.search(name):
            yield (
                f"there is a column {name}, which no figure uses: prevalence, PPV, NPV, flag rate and calibration are "
                "those of the sample"
            )
    unread = [n for n in names if _LOOKS_LIKE_ONE.search(n) and not n.startswith((PROBABILITY, TRUTH, *_DECISIONS))]
    if unread:
        yield (
            f"not read as predictions or truth: {', '.join(unread[:_MOST_NAMED])}; such names begin with prob_ and "
            "truth_, in small letters"
        )
    if not any(name.startswith(TRUTH) for name in names):
        yield (
            "there is no truth column (truth_FINDING), so nothing is known of what is missed; labels in a text, such "
            "as Effusion|Mass, have to be made columns of 0 and 1"
        )


def _spelling(file: PredictionsFile, name: str) -> Iterator[str]:
    """Values that are one for a person and several for a program; sexes are put together, others are not."""
    missing, na = cells.is_not_known(name), cells.is_na(name)
    value = pl.col(name).fill_null("").str.strip_chars()
    counts = file.lines.select(value.alias("v"), missing.alias("m"), na.alias("n")).unique().collect(engine="streaming")
    taken = counts.filter(pl.col("m") | pl.col("n") & counts["m"].any())["v"].to_list()
    words = sorted(word for word in taken if word and word != UNKNOWN)
    if words:
        yield f"{name}: {', '.join(words)} {'is' if len(words) == 1 else 'are'} taken as not known (UNKNOWN)"
    given = sorted(set(counts["v"].to_list()) - set(taken))
    folded = {word.casefold() for word in given}
    if name.lower() in SEXES and len(given) > len(file.table.attributes[name].values):
        yield f"{name}: values that differ only in how they are spelled are taken as F, M and O"
    elif len(folded) < len(given):
        yield f"{name}: some values differ only in upper and lower case and are separate cohorts; make them alike"
    if name.lower() not in SEXES and any(map(_MORE_THAN_ONE.search, given)):
        yield (
            f"{name}: some cells hold several values (with ; or |) and each combination is a cohort of its own; a "
            "person has to decide where those patients belong"
        )


def _two_sexes(file: PredictionsFile) -> Iterator[str]:
    for name, grouping in file.table.attributes.items():
        if name.lower() in SEXES:
            known = np.array([value != UNKNOWN for value in grouping.values])[grouping.codes]
            pairs = np.unique(
                file.table.patients[known].astype(np.int64) * len(grouping.values) + grouping.codes[known]
            )
            if several := len(pairs) - len(np.unique(pairs // len(grouping.values))):
                yield f"{several:,} patients have more than one value of {name}; are they one patient each?"


def _uncertain(file: PredictionsFile) -> int:
    truths = [name for name in file.columns if name.startswith(TRUTH)]
    counted = [(cells.number(name) == -1).sum().alias(name) for name in truths]
    return sum(file.lines.select(counted).collect(engine="streaming").row(0)) if truths else 0


def _values(finding: str, scores: Scores) -> Iterator[str]:
    different = np.unique(scores.probabilities[~np.isnan(scores.probabilities)])
    if len(different) == 1:
        yield f"every score of {finding} is the same value ({different[0]:.4g}): no figure of it is about patients"
    elif len(different) == 2 and set(different) == {0.0, 1.0}:
        yield (
            f"the scores of {finding} are decisions, only 0 and 1: its AUROC is that of one point, and it has no "
            "calibration"
        )


def _truths(finding: str, scores: Scores) -> Iterator[str]:
    known = scores.truths >= 0
    blank = 1 - known.mean()
    if known.any() and blank > _MOST_BLANK:
        yield (
            f"{finding}: truth is not known of {100 * blank:.0f} % of the images; its sensitivity and specificity are "
            "of those that somebody looked at, and hold for others only if they were drawn at random"
        )
    positive, probabilities = scores.truths[known] == 1, scores.probabilities[known]
    few = min(int(positive.sum()), int((~positive).sum()))
    if few >= _ENOUGH and auroc(positive, probabilities).value == 1.0:
        yield (
            f"truth_{finding} follows from the score without an error: is it the model's own decision, or a column "
            "taken twice?"
        )


def _decisions(file: PredictionsFile, finding: str, threshold: Threshold) -> Iterator[str]:
    for name in (prefix + finding for prefix in _DECISIONS):
        if name in file.columns:
            flagged = cells.number(PROBABILITY + finding) >= threshold.value
            differs = file.lines.select((cells.number(name).is_in([0.0, 1.0]) & (cells.number(name) != flagged)).sum())
            if count := int(differs.collect(engine="streaming").item() or 0):
                yield (
                    f"{name} decides otherwise than the threshold {threshold.value:.4g} of {finding} in {count:,} "
                    "lines; say --threshold where the model decides elsewhere"
                )
