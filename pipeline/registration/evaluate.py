"""`candor evaluate`: a packaged model, as it ships, on held-out patients.

Writes `evaluation.json`, from which the card is made, `predictions.csv`, and the audit of the latter, which tells for
whom the model fails; all stay in the folder that was asked for, unless they are put into the package. Figures come from
the ONNX file through the same runtime, the same calibration and the same operating points as in a hospital.
"""

from __future__ import annotations

import csv
import dataclasses
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.documents.reading import read_file, write_file
from core.domain.model import FindingDefinition
from core.errors import ConfigurationError
from core.geometry import SquareFrame
from core.progress import Progress, silent
from core.wording import in_a_cell
from datasets.chest import any_set, own_images
from datasets.chest.nih_chest import LabelledRadiograph
from fairness.audit.nouns import Audit
from models import evaluation
from models.documents.evaluation import EvaluatedModel, Evaluation, FindingEvaluation, LocalisationFigures, Speed
from models.documents.training import TrainingRecord
from models.evaluation import Scored, truths_of
from models.localisation import localisation_gain, localise
from models.package.description import CalibrationSection, PublishedPoint
from models.package.format import ModelPackage, load_package
from models.registry import Registry
from models.runtimes.onnx import OnnxModel
from models.training.chest.findings import WORDS
from pipeline.registration.audit_of_file import Question, audit_of

EVALUATION, PREDICTIONS, TRAINING = "evaluation.json", "predictions.csv", "training.json"
AUDITED_BY = ("view", "sex", "age_band")
_THREADS = 2
_SMALLEST_ROWS = 128  # smaller images were only trained on


def find_package(model: str, registry: Registry) -> ModelPackage:
    """A package by its folder, or by its name, or name and version as NAME@VERSION."""
    if Path(model).is_dir():
        return load_package(Path(model))
    name, _, version = model.partition("@")
    return registry.find(name, version or None)


def evaluate(
    package: ModelPackage,
    data: Path,
    out: Path,
    *,
    threads: int,
    progress: Progress,
    with_control: bool = True,
) -> Evaluation:
    """Run `package` on the held-out patients of `data`, write the files into `out`; returns `evaluation.json`.

    `with_control`: compare the maps with those of a network that never saw a radiograph, which takes long.
    Raises ConfigurationError when the data holds no held-out images or none of the model's findings is labelled in it,
    before an image is read.
    """
    examples = any_set.load(data)
    held_out = [
        e for e in examples if e.split == "test" and (e.tier >= _SMALLEST_ROWS or e.tier == evaluation.ANY_SIZE)
    ]
    if not held_out:
        raise ConfigurationError("the data holds no image of a test patient, so nothing can be evaluated on it")
    check_findings(package, held_out)
    model = OnnxModel.load(package, threads=threads)
    began = time.monotonic()
    scored = score_held_out(model, held_out, progress)
    seconds = (time.monotonic() - began) / len(held_out)
    runtime = Speed(provider=model.provider, threads=threads, images_per_second=round(1 / seconds, 2))
    pointing = _localisation(scored, examples if with_control else (), package, progress)
    figures = _figures(package, scored).model_copy(update={"runtime": runtime, **pointing})
    out.mkdir(parents=True, exist_ok=True)
    write_file(out / EVALUATION, figures)
    write_predictions(out / PREDICTIONS, package, scored.only(scored.primary))
    return figures


def is_own(data: Path) -> bool:
    """Whether the images are of one's own, not of a known set."""
    return own_images.recognises(data)


def check_findings(package: ModelPackage, examples: Sequence[LabelledRadiograph]) -> None:
    """ConfigurationError when no finding of the model is labelled with and without it, by the names of both sides."""
    findings = [finding.name for finding in package.model.findings]
    labelled = sorted({name for example in examples for name in example.targets})
    nothing = np.zeros((len(examples), len(findings)), np.float32)
    planned = Scored(examples, findings, nothing, nothing)
    if not any(evaluation.is_labelled(planned, name) for name in findings):
        known = [name for name in findings if name in labelled]
        why = f"has adults with one of {', '.join(known)} and adults without it" if known else "knows one of them"
        raise ConfigurationError(
            f"{package.model.name} says {', '.join(findings)}, and the data labels {', '.join(labelled) or 'nothing'}; "
            f"it is evaluated on data that {why}"
        )


def validation_audit(package: ModelPackage, data: Path) -> Audit:
    """Run `package` on the test patients of `data` and audit what it says; nothing of them is kept but the figures.

    Raises ConfigurationError when `data` is no known set or holds no test patients.
    """
    held_out = [e for e in any_set.load(data) if e.split == "test" and e.tier >= evaluation.PRIMARY_ROWS]
    if not held_out:
        raise ConfigurationError("the labelled set holds no image of a test patient, so nothing can be audited on it")
    scored = score_held_out(OnnxModel.load(package, threads=_THREADS), held_out, silent)
    with tempfile.TemporaryDirectory(prefix="candor-") as folder:
        path = Path(folder) / PREDICTIONS
        write_predictions(path, package, scored)
        audit = audit_of(path, question(package))
    source = f"test patients of {data.resolve().name}"
    return dataclasses.replace(audit, provenance=dataclasses.replace(audit.provenance, source=source))


def question(package: ModelPackage, *, shows_small_cells: bool = False) -> Question:
    """The audit that goes with an evaluation: by view, sex and age, at the operating points of the package."""
    return Question(
        by=AUDITED_BY, findings=(), thresholds=(), model=package.folder, shows_small_cells=shows_small_cells
    )


def score_held_out(model: OnnxModel, examples: Sequence[LabelledRadiograph], progress: Progress) -> Scored:
    """One image at a time, squared as any image is; a model without maps has none of the scores' maps."""
    logits, maps = [], []
    for done, example in enumerate(examples):
        pixels = example.read().astype(np.float32) / 255.0
        scores, activation = model.predict(SquareFrame.of(*pixels.shape).to_square(pixels)[None, None])
        logits.append(scores[0])
        maps.append(np.zeros((0, 0, 0), np.float32) if activation is None else activation[0])
        progress("reading held-out images", done + 1, len(examples))
    findings = [finding.name for finding in model.package.model.findings]
    return Scored(examples, findings, np.stack(logits), np.stack(maps))


def _figures(package: ModelPackage, scored: Scored) -> Evaluation:
    model, training = package.model, _training(package)
    labelled = [finding for finding in model.findings if evaluation.is_labelled(scored, finding.name)]
    if not labelled:
        raise ConfigurationError(
            f"none of the findings of {model.name} is labelled on adults' test images of "
            f"{evaluation.PRIMARY_ROWS} px or more in this data, so nothing can be evaluated on it"
        )
    return Evaluation(
        model=EvaluatedModel(name=model.name, version=model.version, sha256=model.sha256, opset=training.opset),
        **{name: value for name, value in training if name in Evaluation.model_fields and name != "shipped"},
        shipped=tuple(finding.name for finding in labelled),
        not_labelled=tuple(finding.name for finding in model.findings if finding not in labelled),
        findings={finding.name: _finding(package, finding, scored) for finding in labelled},
    )


def _training(package: ModelPackage) -> TrainingRecord:
    """What training left behind: recipe, counts, differences from torch, what did not ship; empty without a record."""
    return read_file(TrainingRecord, package.folder / "docs" / TRAINING) or TrainingRecord()


def _finding(package: ModelPackage, finding: FindingDefinition, scored: Scored) -> FindingEvaluation:
    calibration, point = package.calibrations[finding.name], finding.operating_point
    figures = evaluation.evaluate(scored, finding.name, _probabilities(package, finding, scored), point.threshold)
    return FindingEvaluation(
        words=finding.name if _are_own(scored) else WORDS.get(finding.name, finding.name),
        calibration=CalibrationSection(scale=calibration.scale, shift=calibration.shift),
        operating_point=PublishedPoint.of(point),
        **dict(figures),
    )


def _are_own(scored: Scored) -> bool:
    """Whether the labels are of one's own, so that it is not known here where they come from."""
    return any(example.source == own_images.SOURCE for example in scored.examples)


def _probabilities(package: ModelPackage, finding: FindingDefinition, scored: Scored) -> evaluation.Probabilities:
    return np.array([package.calibrate(finding.name, float(score)) for score in scored.column(finding.name)])


def _localisation(
    scored: Scored, examples: Sequence[LabelledRadiograph], package: ModelPackage, progress: Progress
) -> dict[str, dict[str, LocalisationFigures] | LocalisationFigures]:
    """Do the maps point at readers' boxes, and better than those of a network that never saw a radiograph?"""
    boxed = _most_boxed(scored)
    if boxed is None or not scored.maps.size:
        return {"localisation": {}}
    figures = _by_tiers(boxed.replace("_", " "), scored, boxed)
    control = _control(scored, boxed, examples, package, progress)
    if control is None:
        return {"localisation": figures}
    gain = localisation_gain(scored, control, boxed, scored.at(512, 1024))
    return {
        "localisation": figures | _by_tiers("control: frozen ImageNet features", control, boxed),
        "localisation_gain": gain,
    }


def _by_tiers(words: str, scored: Scored, finding: str) -> dict[str, LocalisationFigures]:
    tiers = {"512 px": (512, 1024), "512 and 128 px": (512, 1024, 128)}
    return {f"{words}, test, {tier}": localise(scored, finding, scored.at(*rows)) for tier, rows in tiers.items()}


def _most_boxed(scored: Scored) -> str | None:
    """The finding of the model that readers boxed on the most images; None without boxes."""
    counts = Counter(name for example in scored.examples for name in {box.finding for box in example.boxes})
    known = [name for name in scored.findings if counts[name]]
    return max(known, key=lambda name: counts[name], default=None)


def _control(
    scored: Scored, finding: str, examples: Sequence[LabelledRadiograph], package: ModelPackage, progress: Progress
) -> Scored | None:
    """The control needs torch and training images; without either there is none."""
    training = [example for example in examples if example.split == "train"]
    try:
        from models.training.chest.control import frozen_control
        from models.training.chest.packaging import score
    except ImportError:
        return None
    if not training:
        return None
    recipe = _training(package).recipe
    size = recipe.network_size if recipe and recipe.network_size else 224
    progress("fitting the control", 0, 1)
    network = frozen_control(training, finding, size)
    boxed = score(network, [finding], [example for example in scored.examples if example.boxes], size)
    progress("fitting the control", 1, 1)
    return boxed


def write_predictions(path: Path, package: ModelPackage, scored: Scored) -> None:
    """The table that `candor audit` reads: a row per adult's image, empty where the truth is not known."""
    findings = package.model.findings
    truths = [truths_of(scored.examples, finding.name) for finding in findings]
    probabilities = [_probabilities(package, finding, scored) for finding in findings]
    names = [f"{kind}_{finding.name}" for finding in findings for kind in ("prob", "truth")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["study_id", "patient_id", "age", "sex", "view", *names])
        for row, example in enumerate(scored.examples):
            if example.age_years >= evaluation.ADULT_YEARS:
                age = "" if example.age_years == evaluation.AGE_NOT_GIVEN else example.age_years
                texts = (in_a_cell(text) for text in (example.name, example.patient))
                cells: list[str | int | float] = [*texts, age, example.sex, example.view]
                for (truth, known), said in zip(truths, probabilities, strict=True):
                    cells += [f"{said[row]:.6f}", int(truth[row]) if known[row] else ""]
                writer.writerow(cells)
