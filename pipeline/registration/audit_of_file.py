"""The audit of a CSV file of predictions: what a person asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigurationError
from core.progress import Progress, silent
from fairness.audit.completion import default_threshold
from fairness.audit.nouns import Audit, Provenance, Threshold
from fairness.audit.paired import OtherModel
from fairness.audit.run import Request, run_audit
from fairness.audit.table import Scores, ScoreSource
from fairness.predictions.cells import TRUTH, HowToRead
from fairness.predictions.csv import PredictionsFile, open_predictions
from fairness.predictions.missed import write_missed
from fairness.predictions.questions import questions_of_audit, questions_of_file, questions_of_scores
from fairness.predictions.thresholds import ON_THESE_ROWS, ThresholdRule, thresholds_in, thresholds_of
from models.package.format import ModelPackage, load_package

SHOWN = (
    "Small cohorts are shown, as was asked for: some figures are of few patients or of one. Do not pass this page on "
    "where the rows are patients"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a person asked for; `thresholds` as FINDING=0.35, `age_bands` where bands begin, as 18,40,65.

    `against`: the predictions of a second model for the same studies. `missed`: where a list of the studies goes that
    the model got wrong.
    """

    by: tuple[str, ...]
    findings: tuple[str, ...]
    thresholds: tuple[str, ...]
    model: Path | None
    thresholds_file: Path | None = None
    threshold_at: str | None = None
    age_bands: str = ""
    uncertain: str = ""
    shows_small_cells: bool = False
    against: Path | None = None
    against_thresholds: tuple[str, ...] = ()
    missed: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """The thresholds that were chosen for one model's file, and the rule for what has none."""

    by_finding: Mapping[str, Threshold] = field(default_factory=dict)
    rule: ThresholdRule | None = None

    def of(self, findings: Sequence[str], source: ScoreSource) -> dict[str, Threshold]:
        """The threshold of each finding; findings without any are left to the default."""
        found = {name: self.by_finding[name] for name in findings if name in self.by_finding}
        if self.rule:
            for name in findings:
                found.setdefault(name, self.rule.threshold(name, source.scores(name)))
        return found


def audit_of(path: Path, question: Question, progress: Progress = silent) -> Audit:
    """The audit of a CSV file of predictions; ConfigurationError says what is wrong with the file or the question."""
    chosen, package = _chosen(question)
    with open_predictions(path, question.by, _how(question)) as file, _other(file, question, chosen) as other:
        source = file.table.source
        _check_names(chosen.by_finding, source.findings)
        wanted = question.findings or tuple(source.findings)
        known = [name for name in wanted if name in source.findings]
        thresholds = _of_package(known, package) | chosen.of(known, source)
        request = Request(
            by=question.by,
            findings=question.findings,
            thresholds=thresholds,
            shows_small_cells=question.shows_small_cells,
            other=other,
        )
        audit = run_audit(file.table, request, _provenance(path, package, file), progress)
        judged = {name: thresholds.get(name, default_threshold(name)) for name in known}
        if question.missed:
            write_missed(question.missed, file, judged)
        questions = tuple(_questions(audit, file, question.by, judged))
        remarks = (*_statements(question, judged), *audit.provenance.remarks)
        return replace(audit, provenance=replace(audit.provenance, remarks=remarks, questions=questions))


def _how(question: Question) -> HowToRead:
    shows = question.shows_small_cells
    if not question.age_bands:
        return HowToRead(uncertain=question.uncertain, only_asked=shows)
    try:
        edges = tuple(float(word) for word in question.age_bands.split(","))
    except ValueError as error:
        raise ConfigurationError(f"--age-bands {question.age_bands}: write where bands begin, as 18,40,65") from error
    return HowToRead(age_edges=edges, uncertain=question.uncertain, only_asked=shows)


def _chosen(question: Question) -> tuple[_Chosen, ModelPackage | None]:
    """The thresholds of the question, the nearest to the person first: an option, a file, a rule."""
    in_file = thresholds_in(question.thresholds_file) if question.thresholds_file else {}
    rule = ThresholdRule.of(question.threshold_at) if question.threshold_at is not None else None
    package = load_package(question.model) if question.model else None
    return _Chosen(by_finding=in_file | thresholds_of(question.thresholds), rule=rule), package


def _check_names(given: Mapping[str, Threshold], findings: Sequence[str]) -> None:
    if unknown := [threshold for name, threshold in given.items() if name not in findings]:
        where = "--threshold" if "--threshold" in unknown[0].source else unknown[0].source
        raise ConfigurationError(f"{where}: there is no finding {unknown[0].finding}; there are {', '.join(findings)}")


def _of_package(findings: Sequence[str], package: ModelPackage | None) -> dict[str, Threshold]:
    points = {} if package is None else {one.name: one.operating_point for one in package.model.findings}
    source = "" if package is None else f"operating point of {package.model.name} {package.model.version}"
    return {
        name: Threshold(finding=name, value=points[name].threshold, source=source)
        for name in findings
        if name in points
    }


@contextmanager
def _other(file: PredictionsFile, question: Question, chosen: _Chosen) -> Iterator[OtherModel | None]:
    """The second model's scores in the order of the first one's studies; None where only one model is audited."""
    if question.against is None:
        yield None
        return
    with open_predictions(question.against, (), HowToRead(uncertain=question.uncertain, only_asked=True)) as theirs:
        source = _Aligned(theirs.table.source, _places(file, theirs))
        both = [name for name in file.table.source.findings if name in source.findings]
        if not both:
            raise ConfigurationError(f"{file.path.name} and {theirs.path.name} have no column prob_FINDING in common")
        _refuse_other_truths(file, theirs, source, both)
        own = thresholds_of(question.against_thresholds, "--against-threshold")
        _check_names(own, source.findings)
        given = _Chosen(by_finding={**chosen.by_finding, **own}, rule=chosen.rule).of(both, source)
        yield OtherModel(source=source, thresholds={name: given.get(name, default_threshold(name)) for name in both})


@dataclass(frozen=True, slots=True)
class _Aligned:
    """Scores of one file in the order of another one's studies."""

    source: ScoreSource
    places: NDArray[np.intp]

    @property
    def findings(self) -> Sequence[str]:
        return self.source.findings

    def scores(self, finding: str) -> Scores:
        """The scores of one finding."""
        found = self.source.scores(finding)
        return Scores(found.probabilities[self.places], found.truths[self.places])


def _places(file: PredictionsFile, theirs: PredictionsFile) -> NDArray[np.intp]:
    order = np.argsort(theirs.studies)
    places = np.searchsorted(theirs.studies, file.studies, sorter=order)
    places = order[np.minimum(places, len(order) - 1)]
    if missing := int(np.count_nonzero(theirs.studies[places] != file.studies)):
        raise ConfigurationError(
            f"{missing:,} of {len(file.studies):,} study_id of {file.path.name} are not in {theirs.path.name}; two "
            "models are compared on the same studies, so leave out what one of them did not read"
        )
    return places


def _refuse_other_truths(
    file: PredictionsFile, theirs: PredictionsFile, source: ScoreSource, findings: Sequence[str]
) -> None:
    for name in findings:
        if {TRUTH + name} <= set(file.columns) & set(theirs.columns):
            mine, other = file.table.source.scores(name).truths, source.scores(name).truths
            if differs := int(np.count_nonzero((mine >= 0) & (other >= 0) & (mine != other))):
                raise ConfigurationError(
                    f"truth_{name} differs between {file.path.name} and {theirs.path.name} in {differs:,} studies; "
                    "two models are compared with one truth"
                )


def _statements(question: Question, judged: Mapping[str, Threshold]) -> Iterator[str]:
    """What the person stated, so that who reads the audit knows it."""
    if question.shows_small_cells:
        yield SHOWN
    if any(threshold.source.startswith(ON_THESE_ROWS) for threshold in judged.values()):
        yield "Thresholds were chosen on the rows that they are judged on, so the figures at them lean to the good side"
    if question.age_bands:
        yield f"Age bands begin at {question.age_bands}, as was asked for"
    if question.against:
        yield (
            f"Compared with {question.against.name} on the same studies; a difference is this model's figure less the "
            "other's"
        )


def _questions(
    audit: Audit, file: PredictionsFile, by: Sequence[str], judged: Mapping[str, Threshold]
) -> Iterator[str]:
    yield from questions_of_file(file, by)
    yield from questions_of_scores(file, judged)
    yield from questions_of_audit(audit)


def _provenance(path: Path, package: ModelPackage | None, file: PredictionsFile) -> Provenance:
    model = None if package is None else package.model
    has_truth = any(name.startswith(TRUTH) for name in file.columns)
    return Provenance(
        code_version=version("candor"),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=path.name,
        input_sha256=file.sha256,
        model_name=model.name if model else "",
        model_version=model.version if model else "",
        model_sha256=model.sha256 if model else "",
        window=file.window,
        truth_source="truth columns of the file" if has_truth else "",
    )
