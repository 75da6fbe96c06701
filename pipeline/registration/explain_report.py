"""What a page about a model's maps is made of: the map gate on held-out patients, methods compared, and pictures.

Writes `explanation.json` (figures only; the gate's result as it is stored with the version) and, when asked to, stores
it with the package. The page is drawn by `api.pages.explanations`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.documents.model import Nothing
from core.documents.reading import write_file
from core.domain.study import Image
from core.errors import ConfigurationError
from core.geometry import FloatMap
from core.progress import Progress
from datasets.chest import any_set
from datasets.chest.nih_chest import LabelledRadiograph
from explain.comparison import Boxed, compare
from explain.gate.document import Comparison
from explain.gate.result import RESULT, GateResult, write_result
from explain.gate.run import run
from explain.maps.class_activation import saliencies_of
from explain.maps.methods import CLASS_ACTIVATION
from explain.subject import Subject
from models.evaluation import truths_of
from models.package.format import ModelPackage
from models.runtimes.onnx import OnnxModel
from pipeline.registration.map_gate import ADULT_YEARS, case_of, gate, held_out_set, side_of, square_of

GALLERY_IMAGES = 200
PER_KIND = 4
"""Pictures of each kind (true positive, ...) of each finding."""
_BOXED = "lung_opacity"  # the finding with enough boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What to spend: `images` for the gate; whether to compare methods, on how many boxed images at most."""

    images: int
    compared: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictured:
    """One image for a gallery; `mask` is the map's region, `boxes` the readers', all (side, side)."""

    finding: str
    kind: str
    probability: float
    square: FloatMap = field(repr=False)
    mask: NDArray[np.bool_] = field(repr=False)
    boxes: NDArray[np.bool_] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainReport:
    """The gate's result, with the comparison of methods where one was made, and pictures."""

    result: GateResult
    pictures: tuple[Pictured, ...] = ()


def make_reports(
    package: ModelPackage, data: Path | None, out: Path, scope: Scope, *, threads: int, store: bool, progress: Progress
) -> Iterator[ExplainReport]:
    """The report of `package`: first without the comparison, which takes longer than all else, then with it.

    Each is written into the folder `out` before it is yielded, and with `store` into the package too. Without `data`
    there is the gate on demo studies only. Raises ConfigurationError when the data is not usable.
    """
    out.mkdir(parents=True, exist_ok=True)
    for report in _reports(package, data, scope, threads, progress):
        write_file(out / RESULT.name, report.result.document())
        if store:
            write_result(report.result, package.folder)
        yield report


def _reports(
    package: ModelPackage, data: Path | None, scope: Scope, threads: int, progress: Progress
) -> Iterator[ExplainReport]:
    if data is None:
        yield ExplainReport(result=gate(package, progress=progress))
        return
    examples = any_set.load(data)
    result = run(package, held_out_set(examples, side_of(package), scope.images), progress=progress)
    model = OnnxModel.load(package, threads=threads)
    pictures = tuple(_pictures(model, _finest(examples, "validation")[:GALLERY_IMAGES]))
    yield ExplainReport(result=result, pictures=pictures)
    if scope.compared:
        comparison = _comparison(model, examples, scope.compared, progress)
        yield ExplainReport(result=replace(result, comparison=comparison), pictures=pictures)


def _finest(examples: Sequence[LabelledRadiograph], split: str) -> list[LabelledRadiograph]:
    adults = [example for example in examples if example.split == split and example.age_years >= ADULT_YEARS]
    if not adults:
        raise ConfigurationError(f"the data holds no adult of the {split} patients")
    finest = max(example.tier for example in adults)
    return sorted((example for example in adults if example.tier == finest), key=lambda example: example.name)


def _comparison(
    model: OnnxModel, examples: Sequence[LabelledRadiograph], most: int, progress: Progress
) -> Comparison | Nothing:
    """On test patients, whom neither training nor the gate has seen."""
    side = side_of(model.package)
    boxed = [e for e in _finest(examples, "test") if any(box.finding == _BOXED for box in e.boxes)][:most]
    names = [finding.name for finding in model.package.model.findings]
    if not boxed or _BOXED not in names:
        return Nothing()
    subjects = [
        Boxed(
            subject=Subject.of(model, Image(pixels=square_of(example, side))),
            patient=example.patient,
            boxes=case_of(example, side).boxes[_BOXED],
        )
        for example in boxed
    ]
    return compare(subjects, _BOXED, progress=progress)


def _pictures(model: OnnxModel, examples: Sequence[LabelledRadiograph]) -> Iterator[Pictured]:
    """Those the model is surest of among true and false positives, and least sure of among the negatives."""
    side = side_of(model.package)
    squares = [square_of(example, side) for example in examples]
    answers = [model.predict(square[np.newaxis, np.newaxis]) for square in squares]
    for number, finding in enumerate(model.package.model.findings):
        scores = [model.package.calibrate(finding.name, float(logits[0, number])) for logits, _ in answers]
        for kind, row in _chosen(np.array(scores), finding.operating_point.threshold, examples, finding.name):
            maps = answers[row][1]
            if maps is not None:
                yield Pictured(
                    finding=finding.name,
                    kind=kind,
                    probability=scores[row],
                    square=squares[row],
                    mask=_mask(maps[0, number], side),
                    boxes=case_of(examples[row], side).boxes.get(finding.name),
                )


def _chosen(
    probabilities: NDArray[np.float64], threshold: float, examples: Sequence[LabelledRadiograph], finding: str
) -> Iterator[tuple[str, int]]:
    """The kind and the row of each image for the gallery."""
    truths, known = truths_of(examples, finding)
    called = probabilities >= threshold
    kinds = {
        "true positive": (truths & called, -1),
        "false positive": (~truths & called, -1),
        "false negative": (truths & ~called, 1),
        "true negative": (~truths & ~called, 1),
    }
    for kind, (members, order) in kinds.items():
        rows = np.flatnonzero(members & known)
        for row in rows[np.argsort(order * probabilities[rows], kind="stable")][:PER_KIND].tolist():
            yield kind, row


def _mask(values: NDArray[np.float32], side: int) -> NDArray[np.bool_]:
    fine: FloatMap = Image(pixels=np.zeros((side, side), np.float32)).frame.to_source(values)
    return saliencies_of([fine], "", ("",), CLASS_ACTIVATION)[0].mask
