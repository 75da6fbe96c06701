"""A model package: a MONAI bundle folder, plus one file of ours (`candor.json`) for what the format lacks.

    NAME/configs/metadata.json   the bundle's own description
    NAME/models/model.onnx       the weights; their SHA-256 stands in candor.json
    NAME/models/quality.onnx     the quality gate, if there is one (models/quality.py)
    NAME/candor.json             intended use, what it accepts, finding codes, calibration, operating points
    NAME/docs/                   the model card

A package is checked whenever it is loaded: one flipped byte, a missing key or a pickle (which is code) refuses it.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.domain import Code, FindingDefinition, ModelVersion, OperatingPoint
from core.errors import ConfigurationError, IntegrityError
from models.quality import QualityGate, load_gate

WEIGHTS = Path("models/model.onnx")
DESCRIPTION = Path("candor.json")
_PICKLES = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"})
_DEVICES = uuid.UUID("5b0d7c2e-6d0f-5f1c-9a53-6b1d0d9f3c11")  # name space of the derived Device UIDs


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepts:
    """What a model may be given, as data: matched in `inference.select`."""

    modalities: frozenset[str]
    body_parts: frozenset[str]
    body_part_may_be_missing: bool
    views: frozenset[str]  # "" when the view may be missing
    photometric_interpretations: frozenset[str]
    minimum_age_years: float
    unknown_age_accepted: bool
    minimum_rows: int
    minimum_columns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Platt scaling: probability = 1 / (1 + exp(-(scale * score + shift))). Platt, 1999."""

    scale: float = 1.0
    shift: float = 0.0

    def probability(self, score: float) -> float:
        """0..1 for a raw logit."""
        logit = self.scale * score + self.shift
        if logit < 0.0:  # the form that cannot overflow
            return math.exp(logit) / (1.0 + math.exp(logit))
        return 1.0 / (1.0 + math.exp(-logit))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPackage:
    """A verified package: what the model is, what it takes, and how its outputs are to be read."""

    folder: Path
    model: ModelVersion
    accepts: Accepts
    input_name: str
    logits_name: str
    maps_name: str | None
    calibrations: dict[str, Calibration] = field(default_factory=dict)
    not_for: tuple[str, ...] = ()  # uses that the maker excludes, one sentence each
    quality: QualityGate | None = None

    @property
    def weights(self) -> Path:
        """The ONNX file."""
        return self.folder / WEIGHTS

    @property
    def card(self) -> Path:
        """The model card, Markdown, made from `docs/evaluation.json`."""
        return self.folder / "docs" / "README.md"

    def read_weights(self) -> bytes:
        """The bytes of the ONNX file, verified again as they are read; raises IntegrityError or ConfigurationError."""
        try:
            weights = self.weights.read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{self.weights} cannot be read") from error
        if hashlib.sha256(weights).hexdigest() != self.model.sha256:
            raise _not_as_published(self.folder)
        return weights

    def calibrate(self, finding_name: str, score: float) -> float:
        """The calibrated probability, 0..1, of a raw score of this model."""
        return self.calibrations[finding_name].probability(score)


def load_package(folder: Path) -> ModelPackage:
    """Load and verify a package.

    Raises ConfigurationError when it is incomplete, IntegrityError when its weights are not what candor.json says or
    when it holds a pickle.
    """
    description = _read_description(folder)
    _refuse_pickles(folder)
    _verify_weights(folder, description)
    try:
        return _package(folder, description)
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{folder / DESCRIPTION} is not a model description: {error!r}") from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def device_uid(name: str, version: str, sha256: str) -> str:
    """One Device UID per model version (TID 1004), the same wherever the model is installed."""
    return f"2.25.{uuid.uuid5(_DEVICES, f'{name} {version} {sha256}').int}"


def _read_description(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / DESCRIPTION).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder} is not a model package: candor.json cannot be read") from error


def _refuse_pickles(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.suffix.lower() in _PICKLES:
            raise IntegrityError(f"{path.relative_to(folder)} in {folder.name} is a pickle, which can run any code")


def _verify_weights(folder: Path, description: dict[str, Any]) -> None:
    try:
        found = sha256_of(folder / WEIGHTS)
    except OSError as error:
        raise ConfigurationError(f"{folder / WEIGHTS} cannot be read") from error
    if found != description.get("sha256"):
        raise _not_as_published(folder)


def _not_as_published(folder: Path) -> IntegrityError:
    return IntegrityError(f"the weights of {folder.name} are not those it was published with; install it again")


def _package(folder: Path, description: dict[str, Any]) -> ModelPackage:
    outputs = description["outputs"]
    return ModelPackage(
        folder=folder,
        model=_model_version(description),
        accepts=_accepts(description["accepts"]),
        input_name=description["input"]["name"],
        logits_name=outputs["logits"],
        maps_name=outputs.get("class_activation"),
        calibrations={f["name"]: Calibration(**f.get("calibration", {})) for f in description["findings"]},
        not_for=tuple(description.get("not_for", ())),
        quality=load_gate(folder, description),
    )


def _model_version(description: dict[str, Any]) -> ModelVersion:
    name, version, sha256 = description["name"], description["version"], description["sha256"]
    return ModelVersion(
        name=name,
        version=version,
        sha256=sha256,
        manufacturer=description["manufacturer"],
        device_uid=device_uid(name, version, sha256),
        findings=tuple(_finding(finding) for finding in description["findings"]),
        intended_use=description["intended_use"],
    )


def _finding(finding: dict[str, Any]) -> FindingDefinition:
    point = dict(finding["operating_point"])
    for interval in ("sensitivity_interval", "specificity_interval"):
        if point.get(interval) is not None:
            point[interval] = tuple(point[interval])
    return FindingDefinition(
        name=finding["name"], code=Code(**finding["code"]), operating_point=OperatingPoint(**point)
    )


def _accepts(accepts: dict[str, Any]) -> Accepts:
    sets = ("modalities", "body_parts", "views", "photometric_interpretations")
    return Accepts(**{**accepts, **{name: frozenset(accepts[name]) for name in sets}})
