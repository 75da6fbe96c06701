"""Which model takes this study, and if none does, why not.

Two kinds of no. REFUSED: not for us (a hip, a CT). NOT_ANALYSED: ours, but these images do not allow it (a lateral
chest, a child); the report then says "could not analyse, because".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.domain.report import ReportStatus
from core.domain.study import Instance, Study
from inference.terms import BODY_PARTS, MODALITIES, PHOTOMETRIC_INTERPRETATIONS, VIEWS, term
from models.package.format import Accepts, ModelPackage

_SAYS_LATERAL = re.compile(r"(?<![^\W\d_])(LAT|LATERAL|LL)(?![^\W\d_])", re.IGNORECASE)  # as words of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The model that reads a study, and the image it reads."""

    package: ModelPackage
    instance: Instance
    limitations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """Why no model reads a study; `instance` is the image that came closest, which a report can refer to."""

    status: ReportStatus
    reason: str
    instance: Instance | None = None
    package: ModelPackage | None = None


def select(study: Study, packages: Sequence[ModelPackage]) -> Choice | Declined:
    """The best image for the first model that takes one, else the most telling reason why none does."""
    images = [instance for series in study.series for instance in series.instances]
    declined: list[Declined] = []
    for package in packages:
        fitting = []
        for image in images:
            no = _why_not(image, package)
            if no is None:
                fitting.append(image)
            else:
                declined.append(no)
        if fitting:
            image = min(fitting, key=_preference)
            return Choice(package=package, instance=image, limitations=tuple(_limitations(study, image)))
    return _most_telling(declined)


def _why_not(image: Instance, package: ModelPackage) -> Declined | None:
    reason = _not_for_us(image, package.accepts)
    status = ReportStatus.REFUSED
    if reason is None:
        reason, status = _not_analysable(image, package.accepts), ReportStatus.NOT_ANALYSED
    if reason is None:
        return None
    return Declined(status=status, reason=reason, instance=image, package=package)


def _not_for_us(image: Instance, accepts: Accepts) -> str | None:
    if image.modality not in accepts.modalities:
        return f"no model takes modality {term(image.modality, MODALITIES)}"
    body_part = image.body_part_examined.upper()
    if not body_part:
        return None if accepts.body_part_may_be_missing else "the body part is not given"
    if body_part not in accepts.body_parts:
        return f"no model takes {image.modality} of body part {term(body_part, BODY_PARTS)}"
    return None


def _not_analysable(image: Instance, accepts: Accepts) -> str | None:
    if image.number_of_frames > 1:
        return "the object holds more than one frame"
    view, photometric = image.view_position.upper(), image.photometric_interpretation
    if view not in accepts.views:
        return f"the view {term(view, VIEWS)} is outside the model's intended use"
    if not view and (reason := _looks_lateral(image)):
        return reason
    if photometric not in accepts.photometric_interpretations:
        return f"the photometric interpretation {term(photometric, PHOTOMETRIC_INTERPRETATIONS)} is not accepted"
    if image.rows < accepts.minimum_rows or image.columns < accepts.minimum_columns:
        return f"the image is smaller than {accepts.minimum_columns} x {accepts.minimum_rows} pixels"
    return _outside_age(image.patient_age_years, accepts)


def _looks_lateral(image: Instance) -> str | None:
    """Without a stated view a lateral gives itself away by its rows (PS3.3 C.7.6.1.1.1) or by its series' name."""
    along_rows = image.patient_orientation[0].upper() if image.patient_orientation else ""
    if along_rows.startswith(("A", "P")):
        return "the view is not given, and the image's rows run between front and back: a lateral"
    if _SAYS_LATERAL.search(image.series_description):
        return "the view is not given, and the series description says that it is a lateral"
    return None


def _outside_age(age: float | None, accepts: Accepts) -> str | None:
    if age is None:
        return None if accepts.unknown_age_accepted else "the patient's age is not known"
    if age < accepts.minimum_age_years:
        return f"the patient is younger than {accepts.minimum_age_years:g} years, outside the model's intended use"
    if accepts.maximum_age_years is not None and age >= accepts.maximum_age_years + 1:
        return f"the patient is older than {accepts.maximum_age_years:g} years, outside the model's intended use"
    return None


def _preference(image: Instance) -> tuple[int, bool, str]:
    """PA, then another stated view, then none; for presentation before for processing; the UID settles the rest."""
    view = image.view_position.upper()
    rank = 0 if view == "PA" else 1 if view else 2
    return (rank, image.presentation_intent_type == "FOR PROCESSING", image.sop_instance_uid)


def _limitations(study: Study, image: Instance) -> Iterator[str]:
    if not study.patient.patient_id:
        yield "PatientID is empty: this study is not linked with any other"
    if not image.body_part_examined:
        yield f"The body part is not given: taken for a chest because the modality is {image.modality}"
    if not image.view_position:
        yield "The view is not given: PA and AP images have different error rates"
    if image.patient_age_years is None:
        yield "The patient's age is not known"
    yield from image.flags


def _most_telling(declined: Iterable[Declined]) -> Declined:
    """What came closest to being analysed; nothing at all means that no image arrived."""
    ranked = sorted(declined, key=lambda d: d.status is ReportStatus.REFUSED)
    if not ranked:
        return Declined(status=ReportStatus.REFUSED, reason="no model is installed that takes any image of this study")
    return ranked[0]
