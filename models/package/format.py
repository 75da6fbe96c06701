"""A model package: a MONAI bundle folder, plus one file of ours (`candor.json`) for what the format lacks.

    NAME/configs/metadata.json   the bundle's own description
    NAME/models/model.onnx       the weights; their SHA-256 is in candor.json
    NAME/models/quality.onnx     the quality check, if there is one (models/quality.py)
    NAME/candor.json             intended use, what it accepts, finding codes, calibration, operating points
    NAME/docs/                   the model card, and the figures that it is made from
    NAME/signature.json          optional: the maker's signature over all of it

A package is checked whenever it is loaded: one flipped byte in the weights, a missing key, a wrong signature or code in
disguise (models.package.contents) refuses it. models.registry checks that it is the package that was registered.
"""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from core.documents.reading import read_document
from core.domain.model import ModelVersion
from core.errors import ConfigurationError, IntegrityError
from models.external_data import refuse_external_data
from models.package.contents import files_of, refuse_code, sha256_of
from models.package.described_input import IMAGE, InputDescription
from models.package.description import AcceptsSection, Description
from models.package.scope import not_looked_for
from models.package.signatures import signer_of
from models.quality import QualityCheck, load_quality_check

__all__ = ["Accepts", "Calibration", "ModelPackage", "device_uid", "load_package", "sha256_of"]

WEIGHTS = Path("models/model.onnx")
DESCRIPTION = Path("candor.json")
CARD = Path("docs/card.html")
_DEVICES = uuid.UUID("5b0d7c2e-6d0f-5f1c-9a53-6b1d0d9f3c11")  # name space of the derived Device UIDs


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepts:
    """What a model may be given, as data: matched in `inference.select`."""

    modalities: frozenset[str]
    body_parts: tuple[str, ...]  # the first is what an image is taken for that does not say what it shows
    body_part_may_be_missing: bool
    views: tuple[str, ...]  # the preferred one first; "" when the view may be missing
    photometric_interpretations: frozenset[str]
    minimum_age_years: float
    unknown_age_accepted: bool
    minimum_rows: int
    minimum_columns: int
    maximum_age_years: float | None = None  # inclusive, in whole years of age; None: no limit
    body_part_words: Mapping[str, str] = field(default_factory=dict)  # the site's own: upper case, to a defined term
    maximum_pixels: int = 0  # the site's own limit of rows x columns; 0: none


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
    reads: InputDescription = IMAGE
    network_size: int = 0  # side of the square that the graph resizes to; 0 when the package does not say
    not_for: tuple[str, ...] = ()  # uses that the maker excludes, one sentence each
    quality: QualityCheck | None = None
    files: dict[str, str] = field(default_factory=dict)  # SHA-256 by path, of every file
    signed_by: str = ""  # the trusted maker's public key, base64
    is_second_reader: bool = False  # a person signed that it reads what another live model reads too
    maps_withheld: str | None = None  # why, by the gate that the site ran; "": they may be shown; None: it ran none

    @property
    def weights(self) -> Path:
        """The ONNX file."""
        return self.folder / WEIGHTS

    @property
    def card(self) -> Path:
        """The model card, Markdown, made from the figures in `docs` (api.pages.card.card)."""
        return self.folder / "docs" / "README.md"

    def read_weights(self) -> bytes:
        """The bytes of the ONNX file, verified again as they are read, and the whole of the model.

        Raises IntegrityError, also when a tensor is in another file, or ConfigurationError.
        """
        weights = self.read(WEIGHTS)
        refuse_external_data(weights, self.model.name)
        return weights

    def read(self, path: Path | str) -> bytes:
        """The bytes of one file of the package, verified again as they are read.

        Raises IntegrityError when they are not those that were verified, ConfigurationError when they cannot be read.
        """
        name = Path(path).as_posix()
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise ConfigurationError(f"{self.folder / name} cannot be read") from error
        if hashlib.sha256(data).hexdigest() != self.files.get(name):
            raise IntegrityError(f"{name} of {self.model.name} was exchanged after it was verified; install it again")
        return data

    def calibrate(self, finding_name: str, score: float) -> float:
        """The calibrated probability, 0..1, of a raw score of this model."""
        return self.calibrations[finding_name].probability(score)


def load_package(folder: Path, trusted_keys: Collection[str] = (), *, called: str = "") -> ModelPackage:
    """Load and verify a package; `trusted_keys`: public keys (base64) whose signatures count.

    `called`: what errors call it; by default the name of its folder.

    Raises ConfigurationError when it is incomplete, IntegrityError when its weights are not what candor.json says,
    when it is signed wrongly or by somebody else, or when it holds a pickle or other code.
    """
    called = called or folder.name
    files = files_of(folder)
    description = _read_description(folder, files.get(DESCRIPTION.as_posix(), ""))
    signed_by = signer_of(folder, files, trusted_keys, called)
    refuse_code(folder, called, signed=bool(signed_by))
    if WEIGHTS.as_posix() not in files:
        raise ConfigurationError(f"{folder / WEIGHTS} is missing")
    if files[WEIGHTS.as_posix()] != description.sha256:
        raise IntegrityError(f"the weights of {called} are not those it was published with; install it again")
    return _package(folder, description, files, signed_by)


def device_uid(name: str, version: str, sha256: str) -> str:
    """One Device UID per model version (TID 1004), the same wherever the model is installed."""
    return f"2.25.{uuid.uuid5(_DEVICES, f'{name} {version} {sha256}').int}"


def read_description(folder: Path) -> Description:
    """candor.json of the package in `folder`; ConfigurationError says what is wrong with it."""
    return _read_description(folder, None)


def _read_description(folder: Path, sha256: str | None) -> Description:
    try:
        text = (folder / DESCRIPTION).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{folder} is not a model package: candor.json cannot be read; a package is a folder, and candor models "
            "new makes one of an ONNX file"
        ) from error
    if sha256 is not None and hashlib.sha256(text).hexdigest() != sha256:
        raise IntegrityError(f"{folder.name} changed while it was verified; install it again")
    return read_document(Description, text, str(folder / DESCRIPTION))


def _package(folder: Path, description: Description, files: dict[str, str], signed_by: str) -> ModelPackage:
    return ModelPackage(
        folder=folder,
        model=_model_version(description, files.get(CARD.as_posix(), "")),
        accepts=_accepts(description.accepts),
        input_name=description.input.name,
        logits_name=description.outputs.logits,
        maps_name=description.outputs.class_activation,
        calibrations={f.name: Calibration(**dict(f.calibration)) for f in description.findings},
        reads=description.input.described(description.outputs.activation or "sigmoid"),
        network_size=description.input.size or description.input.network_size or 0,
        not_for=description.not_for or (),
        quality=load_quality_check(folder, description.quality),
        files=files,
        signed_by=signed_by,
    )


def _model_version(description: Description, card_sha256: str) -> ModelVersion:
    name, version, sha256 = description.name, description.version, description.sha256
    return ModelVersion(
        name=name,
        version=version,
        sha256=sha256,
        manufacturer=description.manufacturer,
        device_uid=device_uid(name, version, sha256),
        findings=tuple(finding.definition() for finding in description.findings),
        intended_use=description.intended_use,
        card_sha256=card_sha256,
        body_part=next(iter(description.accepts.body_parts), ""),
        not_for=description.not_for or (),
        not_looked_for=not_looked_for(description),
    )


def _accepts(section: AcceptsSection) -> Accepts:
    return Accepts(
        modalities=frozenset(section.modalities),
        body_parts=section.body_parts,
        body_part_may_be_missing=section.body_part_may_be_missing,
        views=section.views,
        photometric_interpretations=frozenset(section.photometric_interpretations),
        minimum_age_years=section.minimum_age_years,
        maximum_age_years=section.maximum_age_years,
        unknown_age_accepted=section.unknown_age_accepted,
        minimum_rows=section.minimum_rows,
        minimum_columns=section.minimum_columns,
    )
