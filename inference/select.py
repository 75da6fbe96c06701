"""Which models take this study, on which inputs, and for what none takes, why not.

Each image that a model takes is an input of its own; a model of volumes reads a whole series (inference.volumes). Where
several live models take the same input, one reads it, and of the others those for which a person signed that they read
it too.

Two kinds of no. REFUSED: not for us (a hip, a CT). NOT_ANALYSED: ours, but these images do not allow it (a lateral
chest, a child); the report then says "could not analyse, because".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.domain.input import ModelInput
from core.domain.report import ReportStatus
from core.domain.study import Instance, Study
from inference.terms import BODY_PARTS, MODALITIES, PHOTOMETRIC_INTERPRETATIONS, VIEWS, term
from inference.volumes import volume_of
from models.package.format import Accepts, ModelPackage

_SAYS_LATERAL = re.compile(r"(?<![^\W\d_])(LAT|LATERAL|LL)(?![^\W\d_])", re.IGNORECASE)  # as words of their own
_LATERALS = frozenset({"LL", "RL", "LAT", "LATERAL", "LLAT", "RLAT"})
_FOR_PROCESSING = "FOR PROCESSING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A model, and an input that it reads."""

    package: ModelPackage
    what: ModelInput
    limitations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """Why a model does not read these images; `instances` are empty when there is no image, or no model."""

    status: ReportStatus
    reason: str
    instances: tuple[Instance, ...] = ()
    package: ModelPackage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The choices, the preferred one first, and what no model takes."""

    choices: tuple[Choice, ...]
    declined: tuple[Declined, ...]

    @property
    def most_telling(self) -> Declined:
        """What came closest to being analysed; nothing at all means that no image arrived."""
        ranked = sorted(self.declined, key=lambda declined: declined.status is ReportStatus.REFUSED)
        return ranked[0] if ranked else Declined(status=ReportStatus.REFUSED, reason=NOTHING)

    @property
    def not_read(self) -> dict[str, int]:
        """By reason, how many images no model reads."""
        read = {uid for choice in self.choices for uid in choice.what.sop_instance_uids}
        counts: dict[str, int] = {}
        seen: set[str] = set()
        for declined in sorted(self.declined, key=lambda declined: declined.status is ReportStatus.REFUSED):
            for instance in declined.instances:
                if instance.sop_instance_uid not in read | seen:
                    seen.add(instance.sop_instance_uid)
                    counts[declined.reason] = counts.get(declined.reason, 0) + 1
        return counts


NOTHING = "no model is installed that takes any image of this study"


def select(study: Study, packages: Sequence[ModelPackage]) -> Selection:
    """Each input of the study with each model that reads it, in the order of `packages` and of their preferences."""
    choices: list[Choice] = []
    declined: list[Declined] = []
    for package in packages:
        for found in _inputs(study, package):
            if isinstance(found, Declined):
                declined.append(found)
            else:
                limitations = tuple(_limitations(found, package.accepts))
                choices.append(Choice(package=package, what=found, limitations=limitations))
    return Selection(choices=tuple(_only_signed(choices)), declined=tuple(declined))


def takes_the_same(one: Accepts, other: Accepts) -> bool:
    """Whether there can be an image that both take, so that only one of them reads it without a signature."""
    return bool(
        one.modalities & other.modalities
        and set(one.body_parts) & set(other.body_parts)
        and set(one.views) & set(other.views)
    )


def _only_signed(choices: Sequence[Choice]) -> Iterator[Choice]:
    """Of the models that take the same images the first reads, and those that a person signed as second readers."""
    taken: dict[str, str] = {}
    for choice in choices:
        if not choice.package.is_second_reader:
            for uid in choice.what.sop_instance_uids:
                taken.setdefault(uid, choice.package.model.device_uid)
    for choice in sorted(choices, key=lambda choice: choice.package.is_second_reader):
        first = {taken.get(uid) for uid in choice.what.sop_instance_uids}
        if choice.package.is_second_reader or first == {choice.package.model.device_uid}:
            yield choice


def _inputs(study: Study, package: ModelPackage) -> Iterator[ModelInput | Declined]:
    """The inputs of one model, the preferred one first, then what it does not take."""
    if package.reads.is_volume:
        for series in study.series:
            yield from _volumes(series.instances, package, _youngest(study))
        return
    fitting, declined = _sorted_out(study.instances, package, _youngest(study))
    fitting.sort(key=lambda image: _preference(image, package.accepts))
    twins = {image.sop_instance_uid for image in fitting if _is_shown_too(image, fitting)}
    for image in fitting:
        if image.sop_instance_uid in twins:
            reason = "the same image made for presentation is read"
            yield Declined(status=ReportStatus.NOT_ANALYSED, reason=reason, instances=(image,), package=package)
        else:
            yield ModelInput.of(image, package.reads.prepared_as)
    yield from declined


def _youngest(study: Study) -> float | None:
    """The lowest age that an image of the study gives: that of the patient, for the images that give none."""
    return min((i.patient_age_years for i in study.instances if i.patient_age_years is not None), default=None)


def _volumes(
    instances: Sequence[Instance], package: ModelPackage, age_years: float | None
) -> Iterator[ModelInput | Declined]:
    """The series as one input, or why it is none."""
    fitting, declined = _sorted_out(instances, package, age_years)
    if fitting:
        found = volume_of(fitting, package.reads)
        if isinstance(found, ModelInput):
            yield found
        else:
            status = ReportStatus.NOT_ANALYSED
            yield Declined(status=status, reason=found, instances=tuple(fitting), package=package)
    yield from declined


def _sorted_out(
    instances: Iterable[Instance], package: ModelPackage, age_years: float | None
) -> tuple[list[Instance], list[Declined]]:
    """The images that a model takes, and why it does not take the others; `age_years` where an image gives none."""
    fitting, declined = [], []
    for image in instances:
        no = _why_not(image, package, age_years)
        if no is None:
            fitting.append(image)
        else:
            declined.append(no)
    return fitting, declined


def _why_not(image: Instance, package: ModelPackage, age_years: float | None) -> Declined | None:
    reason = _not_for_us(image, package.accepts)
    status = ReportStatus.REFUSED
    if reason is None:
        reason, status = _not_analysable(image, package.accepts, age_years), ReportStatus.NOT_ANALYSED
    if reason is None:
        return None
    return Declined(status=status, reason=reason, instances=(image,), package=package)


def _not_for_us(image: Instance, accepts: Accepts) -> str | None:
    if image.modality not in accepts.modalities:
        return f"no model takes modality {term(image.modality, MODALITIES)}"
    body_part = image.body_part_examined.upper()
    if not body_part:
        return None if accepts.body_part_may_be_missing else "the body part is not given"
    if body_part not in accepts.body_parts:
        return f"no model takes {image.modality} of body part {term(body_part, BODY_PARTS)}"
    return None


def _not_analysable(image: Instance, accepts: Accepts, age_years: float | None) -> str | None:
    if image.number_of_frames > 1:
        return "the object holds more than one frame"
    view, photometric = image.view_position.upper(), image.photometric_interpretation
    if view not in accepts.views:
        return f"the view {term(view, VIEWS)} is outside the model's intended use"
    if not view and not _LATERALS & set(accepts.views) and (reason := _looks_lateral(image)):
        return reason
    if photometric not in accepts.photometric_interpretations:
        return f"the photometric interpretation {term(photometric, PHOTOMETRIC_INTERPRETATIONS)} is not accepted"
    if image.rows < accepts.minimum_rows or image.columns < accepts.minimum_columns:
        return f"the image is smaller than {accepts.minimum_columns} x {accepts.minimum_rows} pixels"
    return _outside_age(age_years if image.patient_age_years is None else image.patient_age_years, accepts)


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


def _preference(image: Instance, accepts: Accepts) -> tuple[int, bool, str]:
    """The views in the package's order; for presentation before for processing; the UID settles the rest."""
    return (
        accepts.views.index(image.view_position.upper()),
        image.presentation_intent_type == _FOR_PROCESSING,
        image.sop_instance_uid,
    )


def _is_shown_too(image: Instance, fitting: Iterable[Instance]) -> bool:
    """Whether this is an image for processing whose twin for presentation (PS3.3 C.8.11.1.1.1) is there."""
    if image.presentation_intent_type != _FOR_PROCESSING or image.acquired_at is None:
        return False
    same = ("acquired_at", "view_position", "image_laterality", "rows", "columns")
    return any(
        other.presentation_intent_type == "FOR PRESENTATION"
        and all(getattr(other, name) == getattr(image, name) for name in same)
        for other in fitting
    )


def _limitations(what: ModelInput, accepts: Accepts) -> Iterator[str]:
    image = what.instances[0]
    if not image.body_part_examined:
        part = accepts.body_parts[0].lower() if accepts.body_parts else "what the model reads"
        yield f"The body part is not given: taken for {part} because the modality is {image.modality}"
    stated = [view for view in accepts.views if view]
    if not image.view_position and stated:
        yield f"The view is not given: {' and '.join(stated)} images have different error rates"
    if image.patient_age_years is None:
        yield "The patient's age is not known"
    yield from dict.fromkeys(flag for instance in what.instances for flag in instance.header_flags)
