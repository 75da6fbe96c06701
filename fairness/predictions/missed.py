"""The studies that a model got wrong, by their ids, for the person who brought the rows and looks at the images."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from core.errors import ConfigurationError
from core.wording import in_a_cell
from fairness.audit.nouns import Threshold
from fairness.predictions import cells
from fairness.predictions.cells import PROBABILITY, STUDY, TRUTH
from fairness.predictions.csv import PredictionsFile

COLUMNS = ("finding", "error", "study_id", "probability", "threshold")


def write_missed(path: Path, file: PredictionsFile, thresholds: Mapping[str, Threshold]) -> int:
    """Write a line for each missed study and each false alarm, the clearest first; returns how many were missed.

    The file names studies, so only its owner may read it. ConfigurationError when it cannot be written.
    """
    count = 0
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            os.fchmod(handle, 0o600)
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(COLUMNS)
            for finding, threshold in thresholds.items():
                if TRUTH + finding in file.columns:
                    missed, false_alarms = (_wrong(file, threshold, truth) for truth in (1, 0))
                    count += len(missed)
                    for error, rows in (("missed", missed), ("false alarm", false_alarms)):
                        writer.writerows(
                            (in_a_cell(finding), error, in_a_cell(study), probability, threshold.value)
                            for study, probability in rows.iter_rows()
                        )
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
    return count


def _wrong(file: PredictionsFile, threshold: Threshold, truth: int) -> pl.DataFrame:
    probability = cells.number(PROBABILITY + threshold.finding)
    is_flagged = probability >= threshold.value
    wrong = is_flagged.not_() if truth else is_flagged
    known = cells.truth(TRUTH + threshold.finding, file.how.uncertain) == truth
    found = file.lines.filter(known & wrong).select(pl.col(STUDY).str.strip_chars(), probability.alias("p"))
    return found.collect(engine="streaming").sort("p", STUDY, descending=[not truth, False])
