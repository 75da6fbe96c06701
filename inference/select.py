"""Which models take this study, on which inputs, and for what none takes, why not.

Each image that a model takes is an input of its own; a model of volumes reads a whole series (inference.volumes). Where
several live models take the same input, one reads it, and of the others those for which a person signed that they read
it too.

Two kinds of no. REFUSED: not for us (a hip, a CT). NOT_ANALYSED: ours, but these images do not allow it (a lateral
chest, a child); the report then says "could not analyse, because".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.domain.input import ModelInput
from core.domain.report import ReportStatus
from core.domain.study import Instance, Study
from inference.anatomy import contradictions, view_of, why_not_the_part, why_not_the_view
from inference.origin import limits_of_origin, rank, why_another_is_read
from inference.terms import PHOTOMETRIC_INTERPRETATIONS, term
from inference.volumes import volume_of
from models.package.format import Accepts, ModelPackage


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
    is_reserve: bool = False  # the model takes them, and reads a better image of the study instead


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The choices, the preferred one first, and what no model takes.

    `reserves`: of images that are among `declined` because a better one of the study is read; read where none could be.
    """

    choices: tuple[Choice, ...]
    declined: tuple[Declined, ...]
    reserves: tuple[Choice, ...] = ()

    @property
    def most_telling(self) -> Declined:
        """What came closest to being analysed; nothing at all means that no image arrived."""
        ranked = sorted(self.declined, key=lambda declined: declined.status is ReportStatus.REFUSED)
        return ranked[0] if ranked else Declined(status=ReportStatus.REFUSED, reason=NOTHING)

    @property
    def not_read(self) -> dict[str, int]:
        """By reason, how many images no model reads."""
        return dict(Counter(self.reasons.values()))

    @property
    def reasons(self) -> dict[str, str]:
        """By SOP Instance UID, why no model reads an image: the reason of the model that came closest."""
        read = {uid for choice in self.choices for uid in choice.what.sop_instance_uids}
        reasons: dict[str, str] = {}
        for declined in sorted(self.declined, key=lambda declined: declined.status is ReportStatus.REFUSED):
            for instance in declined.instances:
                if instance.sop_instance_uid not in read:
                    reasons.setdefault(instance.sop_instance_uid, declined.reason)
        return reasons


NOTHING = "no model is installed that takes any image of this study"


def select(study: Study, packages: Sequence[ModelPackage]) -> Selection:
    """Each input of the study with each model that reads it, in the order of `packages` and of their preferences."""
    choices: list[Choice] = []
    declined: list[Declined] = []
    reserves: list[Choice] = []
    for package in packages:
        for found in _inputs(study, package):
            if isinstance(found, ModelInput):
                choices.append(_choice(found, package))
                continue
            declined.append(found)
            if found.is_reserve:
                reserves += [_choice(ModelInput.of(i, package.reads.prepared_as), package) for i in found.instances]
    return Selection(
        choices=tuple(_only_signed(choices)), declined=tuple(declined), reserves=tuple(_only_signed(reserves))
    )


def _choice(what: ModelInput, package: ModelPackage) -> Choice:
    return Choice(package=package, what=what, limitations=tuple(_limitations(what, package.accepts)))


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
    better = {image.sop_instance_uid: why_another_is_read(image, fitting) for image in fitting}
    for image in fitting:
        if reason := better[image.sop_instance_uid]:
            no, images = ReportStatus.NOT_ANALYSED, (image,)
            yield Declined(status=no, reason=reason, instances=images, package=package, is_reserve=True)
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
    no = why_not_the_part(image, package.accepts)
    if no is None and (reason := _not_analysable(image, package.accepts, age_years)):
        no = ReportStatus.NOT_ANALYSED, reason
    if no is None:
        return None
    status, reason = no
    return Declined(status=status, reason=reason, instances=(image,), package=package)


def _not_analysable(image: Instance, accepts: Accepts, age_years: float | None) -> str | None:
    if image.number_of_frames > 1:
        return "the object holds more than one frame"
    if age_years is None and image.is_age_unreadable:
        return "the patient's age is given, but cannot be read"
    return (
        why_not_the_view(image, accepts)
        or _outside_matrix(image, accepts)
        or _outside_age(age_years if image.patient_age_years is None else image.patient_age_years, accepts)
    )


def _outside_matrix(image: Instance, accepts: Accepts) -> str | None:
    photometric = image.photometric_interpretation
    if photometric not in accepts.photometric_interpretations:
        return f"the photometric interpretation {term(photometric, PHOTOMETRIC_INTERPRETATIONS)} is not accepted"
    if image.rows < accepts.minimum_rows or image.columns < accepts.minimum_columns:
        return f"the image is smaller than {accepts.minimum_columns} x {accepts.minimum_rows} pixels"
    if 0 < accepts.maximum_pixels < image.rows * image.columns:
        return f"the image has more than {accepts.maximum_pixels} pixels (setting maximum_image_pixels)"
    return None


def _outside_age(age: float | None, accepts: Accepts) -> str | None:
    if age is None:
        return None if accepts.unknown_age_accepted else "the patient's age is not known"
    if age < accepts.minimum_age_years:
        return f"the patient is younger than {accepts.minimum_age_years:g} years, outside the model's intended use"
    if accepts.maximum_age_years is not None and age >= accepts.maximum_age_years + 1:
        return f"the patient is older than {accepts.maximum_age_years:g} years, outside the model's intended use"
    return None


def _preference(image: Instance, accepts: Accepts) -> tuple[int, int, str]:
    """Originals first, then the views in the package's order; the UID settles the rest."""
    return rank(image), accepts.views.index(view_of(image, accepts)), image.sop_instance_uid


def _limitations(what: ModelInput, accepts: Accepts) -> Iterator[str]:
    image = what.instances[0]
    if not image.body_part_examined:
        part = accepts.body_parts[0].lower() if accepts.body_parts else "what the model reads"
        yield f"The body part is not given: taken for {part} because the modality is {image.modality}"
    yield from (sentence for instance in what.instances[:1] for sentence in contradictions(instance, accepts))
    stated = [view for view in accepts.views if view]
    if stated and not what.is_volume and not view_of(image, accepts):
        yield f"The view is not given: {' and '.join(stated)} images have different error rates"
    if image.patient_age_years is None:
        yield "The patient's age is not known"
    yield from limits_of_origin(image)
    yield from dict.fromkeys(flag for instance in what.instances for flag in instance.header_flags)
